"""What each piece of `finetune` brings, before the test images are looked at.

A fifth of flowers12's training images is held out, and then another, and every way of training is tried on both.
Two runs go on at a time, one thread each, so the seconds are those of a processor.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from pathlib import Path
from statistics import mean
from typing import Any

from bench.common import SHARED, Record, bvlc, metrics, need

ON_ONE_THREAD = (
    "import atexit, time, torch; atexit.register(lambda: print(time.process_time())); torch.set_num_threads(1);"
    "from inceptorch.cli import main; main()"
)
FOLDS, TRIED = 5, 2  # a fifth of the training images held out, for the first two of the fifths
PLAIN: dict[str, Any] = {"epochs": 3, "lr": 0.002, "freeze": 0, "layer_decay": 1.0, "size_schedule": [[0, 1], [1, 1]]}
SMALLER = {**PLAIN, "epochs": 6, "size_schedule": [[0, 0.714], [1, 0.714]]}
WAYS = {
    "A: 3 epochs on crops of the evaluation size": PLAIN,
    "B: A with crops of 160 pixels and 6 epochs": SMALLER,
    "C: B with a higher learning rate": {**SMALLER, "lr": 0.005},
    "D: B with mixup": {**SMALLER, "mixup_alpha": 0.2},
    "E: B with a frozen stem and 8 epochs": {**SMALLER, "epochs": 8, "freeze": 7},
    "F: C with lower learning rates for lower layers": {**SMALLER, "lr": 0.005, "layer_decay": 0.9},
    "the recipe: F with a frozen stem": {},
}


def write_folds(images: Path, folder: Path) -> list[Path]:
    """Folders with `train` and `val`, of links to the training images."""
    draw = random.Random(5)
    folds = [folder / str(number) for number in range(TRIED)]
    for kind in sorted(path for path in images.iterdir() if path.is_dir()):
        files = sorted(kind.iterdir())
        draw.shuffle(files)
        for number, fold in enumerate(folds):
            for place, file in enumerate(files):
                to = fold / ("val" if place % FOLDS == number else "train") / kind.name
                to.mkdir(parents=True, exist_ok=True)
                (to / file.name).symlink_to(file)
    return folds


def trained(bundle: Path, fold: Path, way: str) -> Record:
    """One training: what it reached on the images held out, and what the classifier alone had."""
    out = fold.parent / f"{fold.name}-{way}"
    words = ["--weights", bundle, "--recipe", "finetune", "--out", out]
    for name, value in WAYS[way].items():
        words += ["--set", f"{name}={value}"]
    command = [sys.executable, "-c", ON_ONE_THREAD, "train", str(fold), *map(str, words)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    rows = metrics(out)
    head = [row for row in rows if row["phase"] == "head"][-1]
    shutil.rmtree(out)
    reached = {"head_top1": float(head["top1"]), "top1": float(rows[-1]["top1"])}
    return {"way": way, "fold": int(fold.name), "cpu_seconds": float(said.split()[-1]), **reached}


def run() -> Record:
    flowers = need(SHARED / "flowers12" / "train").resolve()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        bundle = bvlc(folder)
        folds = write_folds(flowers, Path(folder))
        runs = list(pool.map(lambda each: trained(bundle, *each), [(fold, way) for way in WAYS for fold in folds]))
        val = len(list(folds[0].glob("val/*/*")))
    return {"n": {"validation images": val * TRIED}, "val": val, "runs": runs}


def render(record: Record) -> str:
    """The ways that were tried, with their standard error; the recipe stands last."""
    runs = record["runs"]
    means: dict[str, tuple[float, float]] = {}
    rows = ["| variant | accuracy | linear probe alone | CPU seconds |", "| --- | --- | --- | --- |"]
    for way in dict.fromkeys(run["way"] for run in runs):
        mine = [run for run in runs if run["way"] == way]
        top1, head, seconds = (mean(run[name] for run in mine) for name in ("top1", "head_top1", "cpu_seconds"))
        means[way] = top1, seconds
        rows.append(f"| {way} | {top1:.1%} | {head:.1%} | {seconds:.0f} |")
    n = record["val"] * len({run["fold"] for run in runs})
    top1 = mean(run["top1"] for run in runs)
    error = 100 * sqrt(top1 * (1 - top1) / n)
    note = f" They were {record['note']}." if "note" in record else ""
    best, chosen = max(means, key=lambda way: means[way][0]), list(means)[-1]
    lost, spared = (of_best - of_chosen for of_best, of_chosen in zip(means[best], means[chosen], strict=True))
    if best != chosen and 100 * lost <= error and spared > 0:
        note += f" The recipe is within one standard error of {best[0]}, and faster."
    return "\n".join([*rows, "", f"On {n} images, with a standard error of {error:.1f} points.{note}"])
