"""flowers12 from BVLC's frozen weights, to 95 % of the test images.

Ours is the command `inceptorch train --recipe head`, from the shell to the finished run folder. The plain way is a
script as people write it (head_plain.py): the same body frozen, every epoch through the whole network, Adam on the
new linear layer. It too is timed from its start as a process, and stops at the first epoch that reaches the bar.
"""

import json
import subprocess
import sys
import tempfile
import time

from bench.common import SHARED, Record, bvlc, command, in_bf16, need, validated, with_interval

BAR = 0.95
MOST_EPOCHS = 12


def run() -> Record:
    flowers = need(SHARED / "flowers12")
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        inceptorch = [sys.executable, "-m", "inceptorch"]
        ours = []
        for number in range(3):
            began = time.perf_counter()
            words = ["train", str(flowers), "--weights", str(bundle), "--recipe", "head"]
            words += ["--out", f"{folder}/run{number}", "--json"]
            done = subprocess.run([*inceptorch, *words], check=True, capture_output=True, text=True)
            ours.append({"seconds": time.perf_counter() - began, "top1": json.loads(done.stdout)["top1"]})
        images = validated(f"{folder}/run0")
        began = time.perf_counter()
        words = [
            sys.executable,
            "-m",
            "bench.training.head_plain",
            str(flowers),
            str(bundle),
            str(BAR),
            str(MOST_EPOCHS),
        ]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        plain = {"seconds": time.perf_counter() - began, "top1_by_epoch": json.loads(done.stdout)}
    typical = sorted(run["seconds"] for run in ours)[1]
    return {
        "n": {"runs": len(ours), "images": images},
        "bar": BAR,
        "ours": ours,
        "plain": plain,
        "plain_reached_the_bar": plain["top1_by_epoch"][-1] >= BAR,
        "ratio": plain["seconds"] / typical,
    }


def median_run(record: Record) -> Record:
    """Of our runs, by seconds."""
    ordered: list[Record] = sorted(record["ours"], key=lambda run: run["seconds"])
    return ordered[len(ordered) // 2]


def summary(record: Record) -> tuple[str, str, str]:
    run = median_run(record)
    time = f"{run['seconds']:.0f} s ({record['ratio']:.1f} times as fast as a plain loop){in_bf16(record)}"
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
    plain = record["plain"]
    told = ", ".join(f"{top1:.2%}" for top1 in plain["top1_by_epoch"])
    parts.append(f"| plain: every epoch through the whole network | {plain['seconds']:.1f} | by epoch: {told} |")
    short = "" if record["plain_reached_the_bar"] else " at least, as the plain loop did not reach the bar"
    parts.append(f"\nRatio of times: {record['ratio']:.1f}{short}.")
    return "\n".join(parts)
