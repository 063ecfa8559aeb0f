"""flowers12 from BVLC's weights, the classifier first and then the whole network: python -m bench.finetune"""

import csv
import subprocess
import sys
import tempfile
import time

from bench.common import SHARED, need, save


def main() -> None:
    flowers = need(SHARED / "flowers12")
    npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
    inceptorch = [sys.executable, "-m", "inceptorch"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*inceptorch, "convert", npz, "--out", f"{folder}/googlenet"], check=True)
        words = ["--weights", f"{folder}/googlenet", "--recipe", "finetune", "--out", f"{folder}/run"]
        began = time.perf_counter()
        subprocess.run([*inceptorch, "train", flowers, *words], check=True)
        seconds = time.perf_counter() - began
        with open(f"{folder}/run/metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
    head = [row for row in rows if row["phase"] == "head"][-1]
    results = {"seconds": seconds, "head_top1": float(head["top1"]), "top1": float(rows[-1]["top1"])}
    epochs = [row for row in rows if row["phase"] == "train"]
    save(
        "finetune",
        {"command": "inceptorch train flowers12 --weights googlenet --recipe finetune", **results, "epochs": epochs},
    )


if __name__ == "__main__":
    main()
