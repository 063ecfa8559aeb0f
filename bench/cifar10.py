"""CIFAR-10 (re-encoded as JPEG) from scratch in a quarter of an hour on two cores: python -m bench.cifar10"""

import csv
import json
import subprocess
import sys
import tempfile
import time

from bench.common import SHARED, need, save

WORDS = [
    "--net",
    "googlenet_small",
    "--size",
    "28",
    "--epochs",
    "7",
    "--set",
    "batch=64",
    "--set",
    "crop_area=[0.5, 1]",
]


def main() -> None:
    data = need(SHARED / "cifar10")
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", str(data), *WORDS, "--out", f"{folder}/run", "--json"]
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "inceptorch", *command], check=True, stdout=subprocess.PIPE, text=True
        )
        seconds = time.perf_counter() - began
        with open(f"{folder}/run/metrics.csv", newline="") as file:
            epochs = list(csv.DictReader(file))
    answer = json.loads(done.stdout)
    shown = f"inceptorch train cifar10 {' '.join(WORDS)}"
    save("cifar10", {"command": shown, "seconds": seconds, "top1": answer["top1"], "epochs": epochs})


if __name__ == "__main__":
    main()
