"""CIFAR-10 (re-encoded as JPEG) from scratch, and a plain torchvision loop given the same minutes: python -m bench.cifar10 [MINUTES]

Ours runs for as many epochs as fit into the minutes, by what --fast-dev-run says of an epoch. The peer is cifar10_plain.py, run after it
on the same cores. The curves are drawn in docs/cifar10.png.
"""

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.common import SHARED, metrics, need, save
from inceptorch.files import write_whole

WORDS = ["--net", "googlenet_small", "--size", "28", "--set", "batch=64", "--set", "crop_area=[0.5, 1]"]
JUDGING = 1.1  # of the time of the steps: what judging and checkpoints add


def inceptorch(*words: str) -> dict[str, Any]:
    """What a command answers."""
    done = subprocess.run([sys.executable, "-m", "inceptorch", *words, "--json"], check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ours(data: Path, folder: str, minutes: float) -> dict[str, Any]:
    """Our run: its command, seconds, and what it had reached after each epoch."""
    rehearsed = inceptorch("train", str(data), *WORDS, "--fast-dev-run")
    epochs = max(1, int(60 * minutes / (JUDGING * rehearsed["epoch_seconds"])))
    words = [*WORDS, "--epochs", str(epochs)]
    began = time.perf_counter()
    answer = inceptorch("train", str(data), *words, "--out", f"{folder}/run")
    seconds = time.perf_counter() - began
    rows = metrics(f"{folder}/run")
    command = f"inceptorch train cifar10 {' '.join(words)}"
    return {"command": command, "seconds": seconds, "top1": answer["top1"], "epochs": rows}


def theirs(data: Path, folder: str, minutes: float) -> dict[str, Any]:
    """The plain loop on the same pictures in folders."""
    for part in ("train", "test"):
        with zipfile.ZipFile(data / f"{part}.zip") as archive:
            archive.extractall(folder)
    command = [sys.executable, "-m", "bench.cifar10_plain", folder, str(minutes)]
    curve = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {"command": "python -m bench.cifar10_plain", "seconds": curve[-1][0], "top1": curve[-1][1], "curve": curve}


def draw(run: dict[str, Any], out: Path) -> None:
    """Accuracy against time, ours and the plain loop's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    mine = [(float(row["seconds"]) / 60, 100 * float(row["top1"])) for row in run["epochs"]]
    plain = [(seconds / 60, 100 * top1) for seconds, top1 in run["plain"]["curve"]]
    for curve, color, name in ((mine, "#2a6fbb", "inceptorch"), (plain, "#d9730d", "plain torchvision loop")):
        axes.plot(*zip(*curve, strict=True), color=color, marker="o", ms=3, label=f"{name}: {curve[-1][1]:.1f} %")
    axes.set_title("CIFAR-10's test pictures right, per cent", loc="left")
    axes.set_xlabel("minutes on two cores")
    axes.grid(color="#d8dce0", lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    write_whole(out, lambda path: figure.savefig(path, format="png", dpi=120))


def main() -> None:
    data = need(SHARED / "cifar10")
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        run = {"minutes": minutes, **ours(data, folder, minutes)}
        run["plain"] = theirs(data, folder, minutes)
    save("cifar10", run)
    draw(run, Path(__file__).parents[1] / "docs" / "cifar10.png")


if __name__ == "__main__":
    main()
