"""What each piece of recipe `scratch-small` brings on CIFAR-10 (re-encoded as JPEG): the recipe without it.

    python -m bench small_pieces [SEEDS [EPOCHS]]

Runs of so many epochs (4) by so many seeds (2), one on each core. Seconds are those of an epoch's steps, of runs that
share the machine.
"""

import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from bench.common import SHARED, Record, command, metrics, need
from bench.training.cifar10_googlenet import python

PIECES = {
    "the recipe": [],
    "GoogLeNet at half the width in place of `inception_32`": ["net=googlenet_tiny"],
    "SGD in place of Muon, at a rate of 0.2": ["optimizer=sgd", "lr=0.2", "momentum=0.9", "weight_decay=0.0005"],
    "batches of 2,000": ["batch_size=2000", "lr=0.24", "bias_lr=106", "classifier_lr=0.02"],
    "32 pixels from the beginning": ["size_schedule=[[0,1],[1,1]]"],
    "no filters that hand on their input": ["dirac_init=false"],
    "flips by chance": ["hflip_alternate=false"],
    "no shifts": ["translate=0"],
    "label smoothing of 0.1": ["label_smoothing=0.1"],
    "a running average of the weights": ["ema_decay=0.99"],
}


def trained(name: str, seed: int, core: int, epochs: int) -> Record:
    words = [word for setting in PIECES[name] for word in ("--set", setting)]
    words += ["--recipe", "scratch-small", "--epochs", str(epochs), "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as folder:
        python(core, "inceptorch", "train", str(need(SHARED / "cifar10")), *words, "--out", f"{folder}/run", "--json")
        rows = metrics(f"{folder}/run")
    speed = statistics.mean(float(row["images_per_second"]) for row in rows)
    return {"top1": float(rows[-1]["top1"]), "images_per_second": speed}


def run(seeds: str = "2", epochs: str = "4") -> Record:
    jobs = [(name, seed) for seed in range(int(seeds)) for name in PIECES]
    cores = [0, 1]

    def job(each: tuple[str, int]) -> Record:
        core = cores.pop()
        found = trained(*each, core, int(epochs))
        cores.append(core)
        print(each, found, file=sys.stderr)
        return found

    with ThreadPoolExecutor(len(cores)) as pool:
        found = list(pool.map(job, jobs))
    rows = [
        {"piece": name, "runs": [result for (of, _), result in zip(jobs, found, strict=True) if of == name]}
        for name in PIECES
    ]
    return {"n": {"seeds": int(seeds)}, "epochs": int(epochs), "rows": rows}


def render(record: Record) -> str:
    rows = record["rows"]
    parts = [
        f"### What each piece brings\n\n`{command(record)}`: {record['epochs']} epochs of CIFAR-10, each row with one "
        "thing changed, on one core each; the mean of "
        f"{record['n']['seeds']} seeds, and how far the mean of the recipe lies above it in points.\n",
        "| in its place | top-1, % | points below | images/s |\n| --- | ---: | ---: | ---: |",
    ]
    means = [100 * statistics.mean(run["top1"] for run in row["runs"]) for row in rows]
    for row, mean in zip(rows, means, strict=True):
        speed = statistics.mean(run["images_per_second"] for run in row["runs"])
        parts.append(f"| {row['piece']} | {mean:.2f} | {means[0] - mean:+.2f} | {speed:.0f} |")
    return "\n".join(parts) + "\n"
