"""Cold start: a fresh process opens a classifier and runs it once, observed from outside.

python -m inceptorch.deployment.cold_start MODEL ENGINE PRECISION STREAMS BATCH_SIZE
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from inceptorch.errors import EngineError

STATUS = Path("/proc/self/status")


class ColdStart(NamedTuple):
    """Seconds from the start of the process to its first output, and its peak memory in MiB until then, None where the
    system does not report it."""

    seconds: float
    memory_mib: float | None


def cold_start(model: Path, engine: str, precision: str, streams: int, batch_size: int) -> ColdStart:
    """Measure a process that opens `model` and runs one batch. Raises EngineError if it fails."""
    command = [sys.executable, "-m", "inceptorch.deployment.cold_start", str(model), engine, precision]
    began = time.perf_counter()
    # Errors go to a file: a pipe that is not read would block the process once full.
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(
            [*command, str(streams), str(batch_size)], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        process.communicate()
        errors.seek(0)
        last = (errors.read().strip().splitlines() or ["no message"])[-1]
    if process.returncode:
        raise EngineError(f"Cannot run {model} with {engine} in a process of its own: {last}")
    return ColdStart(seconds, json.loads(line))


def main() -> None:
    from inceptorch.inference.engines import open_engine
    from inceptorch.inference.engines.timing import random_images

    model, engine, precision, streams, batch_size = sys.argv[1:]
    opened = open_engine(model, engine, precision, streams=int(streams))
    images = random_images(opened.config.input_size, int(batch_size))
    if opened.config.detection is None:
        opened.run(images, maps=True)
    else:
        opened.detect(images)
    memory = None
    if STATUS.exists():  # not getrusage, which on Linux includes the memory of the parent process
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        memory = int(line.split()[1]) / 1024
    print(json.dumps(memory), flush=True)


if __name__ == "__main__":
    main()
