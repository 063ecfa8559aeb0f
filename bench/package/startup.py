"""How long the shell waits for --help and for a table, and Python for a network."""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import inceptorch
from bench.common import Record, command

ROUNDS = 7


def seconds(work: Callable[[], object]) -> float:
    """The median of several rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)


def shell(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-m", "inceptorch", *words], check=True, capture_output=True)


def run() -> Record:
    rows = [
        {"what": "inceptorch --help", "seconds": seconds(shell("--help"))},
        {"what": "inceptorch nets googlenet", "seconds": seconds(shell("nets", "googlenet"))},
        {"what": 'create_model("googlenet")', "seconds": seconds(lambda: inceptorch.create_model("googlenet"))},
    ]
    return {"n": {"rounds": ROUNDS}, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## Start-up time\n\n`{command(record)}`\n\n| what | seconds |\n| --- | --- |"]
    return "\n".join(parts + [f"| `{row['what']}` | {row['seconds']:.2f} |" for row in record["rows"]])
