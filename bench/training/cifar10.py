"""CIFAR-10 (re-encoded as JPEG) by the recipe that small images get, beside airbench as it is published.

    python -m bench cifar10 [SEEDS [ROW...]]

For each seed (5) every row in turn, each with the whole machine: `ours`, our command without further options;
`airbench`, the peer (cifar10_airbench_plain.py); `quick`, a few epochs; `few`, 300 images a class; and `long`, about an
hour. Rows that are not named keep their results. Whole commands are timed, ours with reading, checking and validation
after every epoch; the peer's seconds are those of its training. docs/cifar10.png shows the runs.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.common import DOCS, SHARED, Record, command, in_bf16, metrics, need, result, with_interval
from inceptorch.utils.files import atomic_write
from inceptorch.utils.progress import format_duration

# What each of the rows adds to `inceptorch train cifar10`.
ROWS = {
    "ours": [],
    "quick": ["--epochs", "4"],
    "long": ["--epochs", "60"],
    "few": ["--set", "max_images_per_class=300"],
}
PEER = "airbench"
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(64 << 30), "MALLOC_TOP_PAD_": str(64 << 20)}


def ours(data: Path, words: list[str], seed: int) -> Record:
    """One run: seconds of the whole command, top-1 of center crops and of six views, and its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        began = time.perf_counter()
        inceptorch("train", data, *words, "--seed", seed, "--out", run)
        seconds = time.perf_counter() - began
        views = inceptorch("eval", run, data, "--protocol", "6view")["top1"]
        epochs = metrics(run)
    about = {"seed": seed, "seconds": seconds, "top1": float(epochs[-1]["top1"]), "top1_of_views": views}
    return about | {"curve": [[float(row["seconds"]), float(row["top1"])] for row in epochs]}


def inceptorch(*words: Any) -> Record:
    """What a verb of the command prints as JSON."""
    whole = [sys.executable, "-m", "inceptorch", *map(str, words), "--json"]
    found: Record = json.loads(subprocess.run(whole, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def theirs(data: Path, seed: int) -> Record:
    """The peer's run, on the images as files."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "test"):
            with zipfile.ZipFile(data / f"{part}.zip") as archive:
                archive.extractall(folder)
        whole = [sys.executable, "-m", "bench.training.cifar10_airbench_plain", folder, str(seed)]
        done = subprocess.run(whole, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | KEPT_MEMORY)
    seconds, top1, views = json.loads(done.stdout)
    return {"seed": seed, "seconds": seconds, "top1": top1, "top1_of_views": views}


def run(seeds: str = "5", *chosen: str) -> Record:
    data, rows = need(SHARED / "cifar10"), dict((result("cifar10") or {}).get("results", {}))
    names = chosen or (*ROWS, PEER)
    rows |= {name: [] for name in names}
    for seed in range(int(seeds)):
        for name in names:
            rows[name].append(theirs(data, seed) if name == PEER else ours(data, ROWS[name], seed))
            print(name, {key: value for key, value in rows[name][-1].items() if key != "curve"}, file=sys.stderr)
    draw(rows, DOCS / "cifar10.png")
    return {"n": {f"{name} runs": len(runs) for name, runs in rows.items()} | {"images": 10_000}, "results": rows}


def draw(rows: dict[str, list[Record]], out: Path) -> None:
    """Accuracy against time: our epochs, and where the peer ends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    colors = {"quick": "#7fb3e6", "ours": "#2a6fbb", "long": "#123a66"}
    for name, color in colors.items():
        for number, each in enumerate(rows.get(name, [])):
            minutes, right = zip(*((seconds / 60, 100 * top1) for seconds, top1 in each["curve"]), strict=True)
            label = {"ours": "inceptorch", "quick": "with fewer epochs", "long": "with more epochs"}[name]
            axes.plot(minutes, right, color=color, marker="o", ms=2.5, lw=1, label=None if number else label)
    if peers := rows.get(PEER):
        at = [each["seconds"] / 60 for each in peers], [100 * each["top1"] for each in peers]
        axes.plot(*at, "x", color="#d9730d", ms=7, label="airbench, at its end")
    axes.set_ylim(bottom=60)
    axes.set_title("CIFAR-10's test images right, per cent", loc="left")
    axes.set_xlabel("minutes")
    axes.grid(color="#d8dce0", lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def spread(runs: list[Record], key: str, percent: bool = True) -> str:
    """Mean and, of several runs, standard deviation."""
    values = [100 * each[key] if percent else each[key] for each in runs]
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 and percent else ""
    return f"{statistics.mean(values):.2f}{deviation}" if percent else format_duration(statistics.mean(values))


def summary(record: Record) -> tuple[str, str, str]:
    runs = record["results"]["ours"]
    top1, seconds = (statistics.mean(each[key] for each in runs) for key in ("top1", "seconds"))
    time = f"{seconds / 60:.1f} min{in_bf16(record)}"
    return "CIFAR-10 (as JPEG) from scratch", f"{with_interval(top1, 10_000)} of the test images", time


def reached(record: Record) -> str:
    """The recipe's result, for docs/recipes.md."""
    runs, peers = record["results"]["ours"], record["results"].get(PEER, [])
    found = (
        f"{spread(runs, 'top1')}% of CIFAR-10's test images in {spread(runs, 'seconds', False)} on "
        f"{record['machine']['cores']} cores, runs: {len(runs)} (`{command(record)}`)"
    )
    if not peers:
        return f"{found}."
    return f"{found}; airbench as published has {spread(peers, 'top1')}% in {spread(peers, 'seconds', False)}."


def render(record: Record) -> str:
    rows = record["results"]
    parts = [f"## CIFAR-10\n\n`{command(record)}`\n"]
    parts.append("| command | runs | top-1, % | of six views, % | time |\n| --- | ---: | ---: | ---: | ---: |")
    for name, words in {**ROWS, PEER: []}.items():
        if runs := rows.get(name):
            what = f"`inceptorch train cifar10 {' '.join(words)}".rstrip() + "`" if name in ROWS else "airbench"
            cells = [spread(runs, "top1"), spread(runs, "top1_of_views"), spread(runs, "seconds", percent=False)]
            parts.append(f"| {what} | {len(runs)} | {' | '.join(cells)} |")
    parts.append(
        "\nMeans and standard deviations. Our time is that of the whole command, with start, reading, validation and "
        "report; airbench's (`bench/training/cifar10_airbench_plain.py`) that of its training.\n"
    )
    parts.append("![accuracy against time](cifar10.png)\n")
    return "\n".join(parts)
