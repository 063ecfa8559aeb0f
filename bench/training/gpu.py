"""On a GPU: CIFAR-10 beside airbench, training steps beside torchvision's loop, and exact resume. Ten minutes.

    python -m bench gpu

CIFAR-10 is trained for as many epochs as airbench's three variants take (8, 16 and 40), in its batches of 2,000 with
rates in proportion, and airbench's first one runs beside it (cifar10_airbench_plain.py). Steps are those of `bench
steps` in batches of 256. A run that is killed and resumed with `--deterministic` must end with the bits of one that is
left alone. It needs a GPU and stops with a sentence without one.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from bench.common import SHARED, Record, command, need
from bench.training import steps
from bench.training.cifar10 import inceptorch, theirs
from inceptorch.utils.progress import format_duration

LARGE = ["--batch-size", "2000", "--lr", "0.24", "--set", "bias_lr=106", "--set", "classifier_lr=0.02"]
EPOCHS = (8, 16, 40)


def trained(data: Path, epochs: int) -> Record:
    with tempfile.TemporaryDirectory() as folder:
        words = ["--recipe", "scratch-small", *LARGE, "--epochs", epochs, "--out", f"{folder}/run"]
        found = inceptorch("train", data, *words)
    return {"epochs": epochs, "top1": found["top1"], "seconds": found["seconds"]}


def resumed_exactly(data: Path) -> bool:
    """Whether a run that is killed after its first epoch ends with the weights of one that is not."""
    digests = []
    words = [sys.executable, "-m", "inceptorch", "train"]
    options = ["--recipe", "scratch-small", "--deterministic", "--epochs", "2", "--set", "max_images_per_class=500"]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("whole", "killed"):
            run = Path(folder, name)
            process = subprocess.Popen([*words, str(data), *options, "--out", str(run)])
            if name == "killed":
                while not (run / "metrics.csv").exists() and process.poll() is None:
                    time.sleep(0.05)
                process.kill()
                process.wait()
                subprocess.run([*words, "--resume", str(run)], check=True)
            elif process.wait():
                raise SystemExit("Cannot measure: the run failed. Its message is above.")
            digests.append(hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest())
    return digests[0] == digests[1]


def run() -> Record:
    if not torch.cuda.is_available():
        raise SystemExit("Cannot measure on a GPU: torch sees none. Try a machine that has one.")
    data = need(SHARED / "cifar10")
    rows = [trained(data, epochs) for epochs in EPOCHS]
    peer = theirs(data, 0)
    exact = resumed_exactly(data)
    return {"n": {"run": 1}, "rows": rows, "airbench": peer, "steps": steps.run("256"), "resumed_exactly": exact}


def render(record: Record) -> str:
    parts = [f"## On a GPU\n\n`{command(record)}`\n\n| epochs | top-1 | time |\n| --- | --- | --- |"]
    parts += [f"| {row['epochs']} | {row['top1']:.2%} | {format_duration(row['seconds'])} |" for row in record["rows"]]
    peer = record["airbench"]
    parts.append(f"| airbench, 8 | {peer['top1']:.2%} | {format_duration(peer['seconds'])} |")
    kept = "ends with the same bits" if record["resumed_exactly"] else "does not end with the same bits"
    parts.append(f"\nA run that is killed and resumed with `--deterministic` {kept}.\n")
    parts.append(steps.render({"command": "python -m bench steps 256", **record["steps"]}))
    return "\n".join(parts)
