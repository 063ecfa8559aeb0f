"""flowers12 from BVLC's frozen weights, to 95 % of the test images.

Ours is the command `inceptorch train --recipe head`, from the shell to the finished run folder. The plain way is a
script as people write it (head_plain.py): the same body frozen, every epoch through the whole network, Adam on the
new linear layer. It stops at the first epoch that reaches the bar. The quick way by hand (head_cached_plain.py)
computes the features once, as ours does, and fits scikit-learn's logistic regression to them, as strongly regularized
as ours is by default. All take turns, and are timed from their start as processes; medians are compared.
"""

import json
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any

from bench.common import SHARED, Record, bvlc, command, in_bf16, need, validated, with_interval

BAR = 0.95
MOST_EPOCHS, ROUNDS = 12, 3


def run() -> Record:
    flowers = need(SHARED / "flowers12")
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        words = ["train", flowers, "--weights", bundle, "--recipe", "head", "--json", "--out"]
        plain = ["-m", "bench.training.head_plain", flowers, bundle, BAR, MOST_EPOCHS]
        ours, cached = [], []
        for number in range(ROUNDS):
            told, seconds = timed("-m", "inceptorch", *words, f"{folder}/run{number}")
            ours.append({"seconds": seconds, "top1": told["top1"]})
            told, seconds = timed("-m", "bench.training.head_cached_plain", flowers, bundle)
            cached.append({"seconds": seconds, "top1": told})
        images = validated(f"{folder}/run0")
        told, seconds = timed(*plain)
    typical = median(run["seconds"] for run in ours)
    return {
        "n": {"runs": len(ours), "images": images},
        "bar": BAR,
        "ours": ours,
        "cached": cached,
        "plain": {"seconds": seconds, "top1_by_epoch": told},
        "plain_reached_the_bar": told[-1] >= BAR,
        "ratio": seconds / typical,
        "cached_ratio": median(run["seconds"] for run in cached) / typical,
    }


def timed(*words: object) -> tuple[Any, float]:
    """What a process of Python prints as JSON, and the seconds it takes."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout), time.perf_counter() - began


def median_run(record: Record) -> Record:
    """Of our runs, by seconds."""
    ordered: list[Record] = sorted(record["ours"], key=lambda run: run["seconds"])
    return ordered[len(ordered) // 2]


def summary(record: Record) -> tuple[str, str, str]:
    run = median_run(record)
    ratios = [f"{record['ratio']:.1f} times as fast as a plain loop"]
    if "cached_ratio" in record:
        ratios.append(f"{record['cached_ratio']:.2f} times as fast as scikit-learn on features computed once")
    time = f"{run['seconds']:.0f} s ({', '.join(ratios)}){in_bf16(record)}"
    return (
        "12 kinds of flower, `--recipe head`",
        f"{with_interval(run['top1'], record['n']['images'])} of the test images",
        time,
    )


def reached(record: Record) -> str:
    """The recipe's result, for docs/recipes.md."""
    run = median_run(record)
    return f"{run['top1']:.1%} of flowers12's test images in {run['seconds']:.0f} s, from BVLC's weights."


def render(record: Record) -> str:
    parts = [f"## Frozen features: time to {record['bar']:.0%} of flowers12's test images\n\n`{command(record)}`\n"]
    parts.append("| code | seconds | top-1 |\n| --- | --- | --- |")
    for run in record["ours"]:
        parts.append(f"| `inceptorch train --recipe head` | {run['seconds']:.1f} | {run['top1']:.2%} |")
    for run in record.get("cached", []):
        parts.append(f"| scikit-learn on features computed once | {run['seconds']:.1f} | {run['top1']:.2%} |")
    plain = record["plain"]
    told = ", ".join(f"{top1:.2%}" for top1 in plain["top1_by_epoch"])
    parts.append(f"| plain: every epoch through the whole network | {plain['seconds']:.1f} | by epoch: {told} |")
    short = "" if record["plain_reached_the_bar"] else " at least, as the plain loop did not reach the bar"
    parts.append(f"\nRatio of times: {record['ratio']:.1f}{short}.")
    if "cached_ratio" in record:
        parts[-1] += f" Of scikit-learn's to ours: {record['cached_ratio']:.2f}."
    return "\n".join(parts)
