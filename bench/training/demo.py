"""The demo, as a newcomer runs it."""

import subprocess
import sys
import tempfile
import time

from bench.common import Record, command, in_bf16, metrics, validated, with_interval


def run() -> Record:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "inceptorch", "demo", "--out", f"{folder}/demo"], check=True)
        seconds = time.perf_counter() - began
        epochs, images = metrics(f"{folder}/demo/run"), validated(f"{folder}/demo/run")
    about = {"command": "inceptorch demo", "n": {"run": 1, "images": images}}
    return {**about, "seconds": seconds, "top1": float(epochs[-1]["top1"]), "epochs": epochs}


def summary(record: Record) -> tuple[str, str, str]:
    what, time = "`inceptorch demo`: handwritten digits from scratch", f"{record['seconds']:.0f} s{in_bf16(record)}"
    return what, f"{with_interval(record['top1'], record['n']['images'])} of the validation digits", time


def render(record: Record) -> str:
    parts = [f"## The demo\n\n`{command(record)}`: {record['top1']:.2%} in {record['seconds']:.0f} s\n"]
    return "\n".join(parts + epoch_table(record["epochs"]))


def epoch_table(epochs: list[dict[str, str]]) -> list[str]:
    """What metrics.csv says of each epoch."""
    columns = ("epoch", "train loss", "validation loss", "top-1", "seconds", "images/s", "waiting for data")
    parts = [f"| {' | '.join(columns)} |\n|" + " --- |" * len(columns)]
    for row in epochs:
        parts.append(
            f"| {row['epoch']} | {float(row['train_loss']):.4f} | {float(row['loss']):.4f} | {float(row['top1']):.2%} "
            f"| {float(row['seconds']):.0f} | {float(row['images_per_second']):.0f} | "
            f"{float(row['data_wait_fraction']):.0%} |"
        )
    return parts
