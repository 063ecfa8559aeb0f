"""How right the time left is that a run says after its first minute."""

import re
import subprocess
import sys
import tempfile
import time

from bench.common import SHARED, Record, command, need

WORDS = [
    "--net",
    "googlenet_small",
    "--size",
    "28",
    "--epochs",
    "5",
    "--set",
    "batch_size=64",
    "--set",
    "max_images_per_class=2000",
]
FIRST = 60.0
LEFT = re.compile(r"done in ([\d.]+) (s|min|h)$")
SECONDS = {"s": 1, "min": 60, "h": 3600}


def run() -> Record:
    data = str(need(SHARED / "cifar10"))
    said: dict[str, float | str] | None = None
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "inceptorch", "train", data, *WORDS, "--out", f"{folder}/run"]
        began = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            passed, left = time.monotonic() - began, LEFT.search(line.strip())
            if said is None and passed >= FIRST and left:
                said = {"line": line.strip(), "after": passed, "total": passed + float(left[1]) * SECONDS[left[2]]}
        process.wait()
        seconds = time.monotonic() - began
    assert said is not None
    assert process.returncode == 0
    error = float(said["total"]) / seconds - 1
    shown = f"inceptorch train cifar10 {' '.join(WORDS)}"
    return {"command": shown, "n": {"run": 1}, "said": said, "seconds": seconds, "error": error}


def render(record: Record) -> str:
    return (
        f"## Estimate of the time left\n\n`{command(record)}`, by `python -m bench estimate`: after "
        f"{record['said']['after']:.0f} s the estimate was {record['said']['total']:.0f} s in all; the run took "
        f"{record['seconds']:.0f} s ({record['error']:+.0%})."
    )
