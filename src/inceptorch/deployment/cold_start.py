"""A process of its own that opens a classifier and answers once; what it took is seen from outside.

python -m inceptorch.deployment.cold_start MODEL ENGINE PRECISION STREAMS BATCH
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from inceptorch.errors import EngineError

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Fresh:
    """Seconds from the start of the process to its first answer, and the most memory in MiB that it held until then;
    None where the system does not tell."""

    seconds: float
    memory_mib: float | None


def first_answer(model: Path, engine: str, precision: str, streams: int, batch: int) -> Fresh:
    """Start a process that opens `model` and answers `batch` images. Raises EngineError if it fails."""
    command = [sys.executable, "-m", "inceptorch.deployment.cold_start", str(model), engine, precision]
    command += [str(streams), str(batch)]
    began = time.perf_counter()
    # What it complains of goes into a file: a pipe that nobody reads would stop it when full.
    with (
        tempfile.TemporaryFile("w+", errors="replace") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        process.communicate()
        complaints.seek(0)
        errors = complaints.read()
    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise EngineError(f"{model} could not be executed by {engine} in a process of its own: {last}")
    return Fresh(seconds, json.loads(line))


def main() -> None:
    from inceptorch.inference.engines import open_engine
    from inceptorch.inference.engines.timing import random_images

    model, engine, precision, streams, batch = sys.argv[1:]
    opened = open_engine(model, engine, precision, streams=int(streams))
    opened.run(random_images(opened.config.preprocessing.size, int(batch)), maps=True)
    print(json.dumps(_most_memory()), flush=True)


def _most_memory() -> float | None:
    """In MiB. Not from getrusage: on Linux, what it tells includes the memory of the process that started this one."""
    if not STATUS.exists():
        return None
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
