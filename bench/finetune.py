"""flowers12 from BVLC's weights, the classifier first and then the whole network, with three seeds: python -m bench.finetune"""

import subprocess
import sys
import tempfile
import time
from statistics import mean
from typing import Any

from bench.common import SHARED, bvlc, metrics, need, save

SEEDS = 3


def run(folder: str, seed: int) -> dict[str, Any]:
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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bvlc(folder)
        runs = [run(folder, seed) for seed in range(SEEDS)]
    means = {name: mean(one[name] for one in runs) for name in ("seconds", "head_top1", "top1")}
    command = "inceptorch train flowers12 --weights googlenet --recipe finetune"
    save("finetune", {"command": command, **means, "runs": runs})


if __name__ == "__main__":
    main()
