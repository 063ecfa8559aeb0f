"""The rate and the warm-up of `scratch` on one epoch of CIFAR-10 (re-encoded as JPEG): python -m bench.scratch_rate"""

import json
import subprocess
import sys
import tempfile

from bench.common import SHARED, need, save

SETTINGS = {
    "rate 0.02, a quarter of the run to warm up": [],
    "rate 0.01, a quarter": ["--set", "lr=0.01"],
    "rate 0.05, a tenth": ["--set", "lr=0.05", "--set", "schedule=[[0, 0], [0.1, 1], [1, 0]]"],
}
WORDS = [
    "--net",
    "googlenet_small",
    "--size",
    "28",
    "--epochs",
    "1",
    "--set",
    "batch=64",
    "--set",
    "crop_area=[0.5, 1]",
]


def top1(words: list[str]) -> float:
    """The share of the test pictures that is right after the epoch."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", str(need(SHARED / "cifar10")), *WORDS, *words, "--out", f"{folder}/run", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "inceptorch", *command], check=True, stdout=subprocess.PIPE, text=True
        )
    return float(json.loads(done.stdout)["top1"])


def main() -> None:
    rows = [{"setting": name, "top1": top1(words)} for name, words in SETTINGS.items()]
    save("scratch_rate", {"command": "python -m bench.scratch_rate", "rows": rows})


if __name__ == "__main__":
    main()
