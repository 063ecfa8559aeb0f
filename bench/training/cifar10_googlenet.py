"""GoogLeNet on CIFAR-10 (as JPEG) by recipe `scratch`, and the same network in a plain loop for as many epochs.

    python -m bench cifar10_googlenet [MINUTES [IMAGES]]

Ours runs for as many epochs as fit into the minutes (60), and beside it, on a core of its own, the same network in
batches of the same size (cifar10_network_plain.py): what differs are the loop and the recipe. Then torchvision's
GoogLeNet has the same minutes, alone on its core (cifar10_googlenet_plain.py). IMAGES limits those of a class, to try
it. The curves are drawn in docs/cifar10_googlenet.png.
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
ALL = 5000  # training images of a class


def python(core: int, *words: str, folder: str | None = None) -> str:
    """What a Python module prints that runs on one core."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)
    return done.stdout


def epochs_in(data: Path, folder: str, minutes: float, images: int) -> int:
    """How many epochs fit, by what a run of two epochs on a tenth of the images of a class takes."""
    began = time.perf_counter()
    words = [*WORDS, "--epochs", "2", "--set", f"max_images_per_class={images // 10}"]
    words += ["--set", "size_schedule=[[0, 0.8], [1, 0.8]]"]
    python(0, "inceptorch", "train", str(data), *words, "--out", f"{folder}/paced")
    first, second = (float(row["seconds"]) for row in metrics(f"{folder}/paced"))
    print(f"a tenth of the images twice in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    evaluating = second - first - images / float(metrics(f"{folder}/paced")[1]["images_per_second"])
    epoch = (
        10 * (second - first - evaluating) + 2 * evaluating
    )  # ten times as many to train on, twice as many to evaluate with
    return max(1, int(60 * minutes / epoch))


def ours(data: Path, folder: str, epochs: int, images: int) -> dict[str, Any]:
    """Our run: its command, seconds, and what it had reached after each epoch."""
    limit = [] if images == ALL else ["--set", f"max_images_per_class={images}"]
    words = [*WORDS, *limit, "--epochs", str(epochs)]
    began = time.perf_counter()
    answer = json.loads(python(0, "inceptorch", "train", str(data), *words, "--out", f"{folder}/run", "--json"))
    seconds = time.perf_counter() - began
    command = f"inceptorch train cifar10 {' '.join(words)}"
    return {"command": command, "seconds": seconds, "top1": answer["top1"], "epochs": metrics(f"{folder}/run")}


def in_folders(data: Path, folder: str, images: int) -> None:
    """Extract the first so many images of each class and split."""
    for part in ("train", "test"):
        with zipfile.ZipFile(data / f"{part}.zip") as archive:
            archive.extractall(folder, [name for name in archive.namelist() if int(Path(name).stem) < images])


def theirs(peer: str, folder: str, length: float) -> dict[str, Any]:
    """A plain loop on the same images in folders, for so many minutes or epochs, as it takes them."""
    curve = json.loads(python(1, f"bench.training.{peer}", folder, str(length)))
    return {
        "command": f"python -m bench.training.{peer}",
        "seconds": curve[-1][0],
        "top1": curve[-1][1],
        "curve": curve,
    }


def draw(run: dict[str, Any], out: Path) -> None:
    """Accuracy against time, ours and the plain loops'."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    mine = [(float(row["seconds"]), float(row["top1"])) for row in run["epochs"]]
    curves = [("inceptorch", "#2a6fbb", mine), ("plain torchvision loop", "#d9730d", run["plain"]["curve"])]
    curves.append(("the same network in a plain loop", "#3a9a5b", run["same_network"]["curve"]))
    for name, color, curve in curves:
        minutes, right = [seconds / 60 for seconds, _ in curve], [100 * top1 for _, top1 in curve]
        axes.plot(minutes, right, color=color, marker="o", ms=3, label=f"{name}: {right[-1]:.1f} %")
    axes.set_title("CIFAR-10's test images right, per cent", loc="left")
    axes.set_xlabel("minutes on one core")
    axes.grid(color="#d8dce0", lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def run(minutes_given: str = "60", images_given: str = str(ALL)) -> Record:
    data, minutes, images = need(SHARED / "cifar10"), float(minutes_given), int(images_given)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        in_folders(data, folder, images)
        epochs = epochs_in(data, folder, minutes, images)
        same_network = pool.submit(theirs, "cifar10_network_plain", folder, epochs)
        record = {
            "minutes": minutes,
            "cores": 1,
            **ours(data, folder, epochs, images),
            "n": {"run": 1, "images": validated(f"{folder}/run")},
            "same_network": same_network.result(),
            "plain": theirs("cifar10_googlenet_plain", folder, minutes),
        }
    if images == ALL:
        draw(record, DOCS / "cifar10_googlenet.png")
    return record


def summary(record: Record) -> tuple[str, str, str]:
    time = f"{record['seconds'] / 60:.1f} min on one of the cores{in_bf16(record)}"
    return (
        "GoogLeNet at half the width on CIFAR-10 (as JPEG) from scratch",
        f"{with_interval(record['top1'], record['n']['images'])} of the test images",
        time,
    )


def reached(record: Record) -> str:
    """The recipe's result, for docs/recipes.md."""
    same = record.get("same_network")
    name, peer = ("the same network in a plain loop", same) if same else ("a plain torchvision loop", record["plain"])
    return (
        f"{record['top1']:.1%} of CIFAR-10's test images in {record['seconds'] / 60:.0f} min on one core "
        f"(`{command(record)}`); {name} next to it has {peer['top1']:.1%}."
    )


def render(record: Record) -> str:
    plain, same = record["plain"], record.get("same_network")
    parts = [f"## GoogLeNet on CIFAR-10\n\n`{command(record)}`: {record['top1']:.2%} in {record['seconds']:.0f} s\n"]
    when = "at the same time, each on one core"
    if same:
        parts.append(
            "The same network in a plain loop (`bench/training/cifar10_network_plain.py`: transforms v2, SGD, "
            f"bf16 autocast, channels last), for as many epochs and in the same batches, {when}: {same['top1']:.2%} in "
            f"{same['seconds']:.0f} s.\n"
        )
        when = "afterwards, also on one core"
    parts.append(
        f"A plain torchvision loop with torchvision's GoogLeNet (`bench/training/cifar10_googlenet_plain.py`) {when}: "
        f"{plain['top1']:.2%} in {plain['seconds']:.0f} s.\n"
    )
    parts.append("![accuracy against time](cifar10_googlenet.png)\n")
    return "\n".join(parts + epoch_table(record["epochs"]))
