"""CIFAR-10 (re-encoded as JPEG) from scratch, and a plain torchvision loop given the same minutes.

    python -m bench cifar10 [MINUTES]

Both run at once, each on a core of its own. Ours runs for as many epochs as fit into the minutes. The peer is
cifar10_plain.py. The curves are drawn in docs/cifar10.png.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.common import DOCS, SHARED, Record, command, in_bf16, metrics, need, validated, with_interval
from bench.training.demo import epoch_table
from inceptorch.utils.files import atomic_write

# Crops of 28 of 32 pixels, as they are; smaller ones in the first half of the run, as those cost less. Evaluated whole.
WORDS = ["--net", "googlenet_tiny", "--size", "32", "--set", "batch_size=64", "--set", "lr=0.05"]
WORDS += ["--set", "size_schedule=[[0,0.625],[0.5,0.875],[1,0.875]]"]
WORDS += ["--set", "crop_scale=[0.765625,0.765625]", "--set", "crop_ratio=[1,1]"]


def python(core: int, *words: str, folder: str | None = None) -> str:
    """What a Python module prints that runs on one core."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)
    return done.stdout


def epochs_in(data: Path, folder: str, minutes: float) -> int:
    """How many epochs fit, by what a run of two epochs on a tenth of the images takes."""
    began = time.perf_counter()
    words = [
        *WORDS,
        "--epochs",
        "2",
        "--set",
        "max_images_per_class=500",
        "--set",
        "size_schedule=[[0, 0.8], [1, 0.8]]",
    ]
    python(0, "inceptorch", "train", str(data), *words, "--out", f"{folder}/paced")
    first, second = (float(row["seconds"]) for row in metrics(f"{folder}/paced"))
    print(f"a tenth of the images twice in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    evaluating = second - first - 5000 / float(metrics(f"{folder}/paced")[1]["images_per_second"])
    epoch = (
        10 * (second - first - evaluating) + 2 * evaluating
    )  # ten times as many to train on, twice as many to evaluate with
    return max(1, int(60 * minutes / epoch))


def ours(data: Path, folder: str, epochs: int) -> dict[str, Any]:
    """Our run: its command, seconds, and what it had reached after each epoch."""
    words = [*WORDS, "--epochs", str(epochs)]
    began = time.perf_counter()
    answer = json.loads(python(0, "inceptorch", "train", str(data), *words, "--out", f"{folder}/run", "--json"))
    seconds = time.perf_counter() - began
    command = f"inceptorch train cifar10 {' '.join(words)}"
    return {"command": command, "seconds": seconds, "top1": answer["top1"], "epochs": metrics(f"{folder}/run")}


def theirs(data: Path, folder: str, minutes: float) -> dict[str, Any]:
    """The plain loop on the same images in folders."""
    for part in ("train", "test"):
        with zipfile.ZipFile(data / f"{part}.zip") as archive:
            archive.extractall(folder)
    curve = json.loads(python(1, "bench.training.cifar10_plain", folder, str(minutes)))
    shown = "python -m bench.training.cifar10_plain"
    return {"command": shown, "seconds": curve[-1][0], "top1": curve[-1][1], "curve": curve}


def draw(run: dict[str, Any], out: Path) -> None:
    """Accuracy against time, ours and the plain loop's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    mine = [(float(row["seconds"]) / 60, 100 * float(row["top1"])) for row in run["epochs"]]
    plain = [(seconds / 60, 100 * top1) for seconds, top1 in run["plain"]["curve"]]
    for curve, color, name in ((mine, "#2a6fbb", "inceptorch"), (plain, "#d9730d", "plain torchvision loop")):
        axes.plot(*zip(*curve, strict=True), color=color, marker="o", ms=3, label=f"{name}: {curve[-1][1]:.1f} %")
    axes.set_title("CIFAR-10's test images right, per cent", loc="left")
    axes.set_xlabel("minutes on one core")
    axes.grid(color="#d8dce0", lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def run(minutes_given: str = "60") -> Record:
    data = need(SHARED / "cifar10")
    minutes = float(minutes_given)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        plain = pool.submit(theirs, data, folder, minutes)
        epochs = epochs_in(data, folder, minutes)
        record = {
            "minutes": minutes,
            "cores": 1,
            **ours(data, folder, epochs),
            "n": {"run": 1, "images": validated(f"{folder}/run")},
            "plain": plain.result(),
        }
    draw(record, DOCS / "cifar10.png")
    return record


def summary(record: Record) -> tuple[str, str, str]:
    time = f"{record['seconds'] / 60:.1f} min on one of the cores{in_bf16(record)}"
    return (
        "CIFAR-10 (as JPEG) from scratch",
        f"{with_interval(record['top1'], record['n']['images'])} of the test images",
        time,
    )


def reached(record: Record) -> str:
    """The recipe's result, for docs/recipes.md."""
    return (
        f"{record['top1']:.1%} of CIFAR-10's test images in {record['seconds'] / 60:.0f} min on one core "
        f"(`{command(record)}`); a plain torchvision loop next to it has {record['plain']['top1']:.1%}."
    )


def render(record: Record) -> str:
    plain = record["plain"]
    parts = [f"## CIFAR-10\n\n`{command(record)}`: {record['top1']:.2%} in {record['seconds']:.0f} s\n"]
    parts.append(
        f"A plain torchvision loop (`bench/training/cifar10_plain.py`) at the same time, each on one core: "
        f"{plain['top1']:.2%} in {plain['seconds']:.0f} s.\n"
    )
    parts.append("![accuracy against time](cifar10.png)\n")
    return "\n".join(parts + epoch_table(record["epochs"]))
