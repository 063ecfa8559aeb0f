"""flowers12 from BVLC's weights, to 95 % of the held-out pictures: python -m bench.head

Ours is the command `inceptorch train --recipe head`, from the shell to the finished run folder. The plain way is a script
as people write it: the same body frozen, every epoch through the whole network, Adam on the new linear layer. It too is
timed from its start as a process, and stops at the first epoch that reaches the bar.
"""

import json
import subprocess
import sys
import tempfile
import time

from bench.common import SHARED, bvlc, need, save

BAR = 0.95
MOST_EPOCHS = 12


def main() -> None:
    flowers = need(SHARED / "flowers12")
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        inceptorch = [sys.executable, "-m", "inceptorch"]
        ours = []
        for number in range(3):
            began = time.perf_counter()
            words = [
                "train",
                str(flowers),
                "--weights",
                str(bundle),
                "--recipe",
                "head",
                "--out",
                f"{folder}/run{number}",
                "--json",
            ]
            done = subprocess.run([*inceptorch, *words], check=True, capture_output=True, text=True)
            ours.append({"seconds": time.perf_counter() - began, "top1": json.loads(done.stdout)["top1"]})
        began = time.perf_counter()
        words = [sys.executable, "-m", "bench.head_plain", str(flowers), str(bundle), str(BAR), str(MOST_EPOCHS)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        plain = {"seconds": time.perf_counter() - began, "top1_by_epoch": json.loads(done.stdout)}
    typical = sorted(run["seconds"] for run in ours)[1]
    reached = plain["top1_by_epoch"][-1] >= BAR
    save(
        "head",
        {
            "command": "python -m bench.head",
            "bar": BAR,
            "ours": ours,
            "plain": plain,
            "plain_reached_the_bar": reached,
            "ratio": plain["seconds"] / typical,
        },
    )


if __name__ == "__main__":
    main()
