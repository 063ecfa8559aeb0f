"""flowers12 from BVLC's weights, the classifier first and then the whole network, three seeds."""

import subprocess
import sys
import tempfile
import time
from statistics import mean

from bench.common import SHARED, Record, bvlc, command, in_bf16, metrics, need, validated, with_interval

SEEDS = 3


def trained(folder: str, seed: int) -> Record:
    """One training from the shell."""
    flowers, out = need(SHARED / "flowers12"), f"{folder}/{seed}"
    words = ["--weights", f"{folder}/googlenet", "--recipe", "finetune", "--seed", str(seed), "--out", out]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "inceptorch", "train", flowers, *words], check=True)
    seconds = time.perf_counter() - began
    rows = metrics(out)
    head = [row for row in rows if row["phase"] == "head"][-1]
    epochs = [row for row in rows if row["phase"] == "train"]
    return {
        "seed": seed,
        "seconds": seconds,
        "head_top1": float(head["top1"]),
        "top1": float(rows[-1]["top1"]),
        "epochs": epochs,
    }


def run() -> Record:
    with tempfile.TemporaryDirectory() as folder:
        bvlc(folder)
        runs = [trained(folder, seed) for seed in range(SEEDS)]
        images = validated(f"{folder}/0")
    means = {name: mean(one[name] for one in runs) for name in ("seconds", "head_top1", "top1")}
    shown = "inceptorch train flowers12 --weights googlenet --recipe finetune"
    return {"command": shown, "n": {"seeds": SEEDS, "images": images}, **means, "runs": runs}


def summary(record: Record) -> tuple[str, str, str]:
    n, time = record["n"], f"{record['seconds'] / 60:.1f} min{in_bf16(record)}"
    correct = f"{with_interval(record['top1'], n['images'])} of the test images, mean of {n['seeds']} seeds"
    return "12 kinds of flower, `--recipe finetune`", correct, time


def reached(record: Record) -> str:
    """The recipe's result, for docs/recipes.md."""
    return (
        f"{record['top1']:.1%} of flowers12's test images in {record['seconds'] / 60:.1f} min from BVLC's weights, "
        "the mean "
        f"of {len(record['runs'])} seeds; the linear probe alone had {record['head_top1']:.1%} there."
    )


def render(record: Record) -> str:
    parts = [f"## flowers12, finetune\n\n`{command(record)}`: {record['top1']:.2%} on average\n"]
    parts.append("| seed | top-1 | linear probe alone | seconds |\n| --- | --- | --- | --- |")
    parts += [
        f"| {run['seed']} | {run['top1']:.2%} | {run['head_top1']:.2%} | {run['seconds']:.0f} |"
        for run in record["runs"]
    ]
    return "\n".join(parts)
