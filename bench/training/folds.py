"""Five folds beside one run of `head`: their time, and whether the estimate holds on images that stayed apart.

    python -m bench folds [ROUNDS]

flowers12 from BVLC's weights. Each round is a run without folds and one with them, in turn; the ratio is that of the
medians. The folds divide the training images alone, so the test images judge the estimate.
"""

import json
import statistics
import subprocess
import sys
import tempfile

from bench.common import SHARED, Record, bvlc, command, need, on_machine

FOLDS = 5


def run(rounds: str = "3") -> Record:
    data = need(SHARED / "flowers12")
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        seconds: dict[int, list[float]] = {0: [], FOLDS: []}
        for number in range(int(rounds)):
            for folds in seconds:
                words = ["train", data, "--weights", bundle, "--folds", folds, "--out", f"{folder}/{number}-{folds}"]
                program = [sys.executable, "-m", "inceptorch", *map(str, words), "--json"]
                trained = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
                seconds[folds].append(trained["seconds"])
    found = trained["folds"]
    times = {"without": statistics.median(seconds[0]), "with": statistics.median(seconds[FOLDS])}
    estimate = {"top1": found["top1"], "interval": found["top1_interval"], "test_top1": trained["top1"]}
    return {"n": {"rounds": int(rounds), "images": found["n"]}, **times, **estimate}


def render(record: Record) -> str:
    low, high = record["interval"]
    return (
        f"## Measured: folds\n\n`{command(record)}`, {on_machine(record)}\n\n"
        f"A run of `head` on flowers12 with {FOLDS} folds takes {record['with']:.1f} s, one without them "
        f"{record['without']:.1f} s: {record['with'] / record['without']:.2f} times as long. The folds estimate "
        f"{record['top1']:.1%} ({low:.1%} to {high:.1%}) from {record['n']['images']} training images; the test images "
        f"have {record['test_top1']:.1%}."
    )
