"""The rate and the warm-up of `scratch` on one epoch of CIFAR-10 (re-encoded as JPEG)."""

import json
import subprocess
import sys
import tempfile

from bench.common import SHARED, Record, command, need

SETTINGS = {
    "rate 0.02, a quarter of the run to warm up": [],
    "rate 0.01, a quarter": ["--set", "lr=0.01"],
    "rate 0.05, a tenth": ["--set", "lr=0.05", "--set", "lr_schedule=[[0, 0], [0.1, 1], [1, 0]]"],
}
WORDS = ["--net", "googlenet_small", "--size", "28", "--epochs", "1"]
WORDS += ["--set", "batch_size=64", "--set", "crop_scale=[0.5, 1]"]


def top1(words: list[str]) -> float:
    """Top-1 on the test images after the epoch."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", str(need(SHARED / "cifar10")), *WORDS, *words, "--out", f"{folder}/run", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "inceptorch", *command], check=True, stdout=subprocess.PIPE, text=True
        )
    return float(json.loads(done.stdout)["top1"])


def run() -> Record:
    rows = [{"setting": name, "top1": top1(words)} for name, words in SETTINGS.items()]
    return {"n": {"seed": 1}, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## Learning rate of `scratch`, one epoch of CIFAR-10, one seed\n\n`{command(record)}`\n"]
    parts.append("| setting | top-1 |\n| --- | --- |")
    return "\n".join(parts + [f"| {row['setting']} | {row['top1']:.2%} |" for row in record["rows"]])
