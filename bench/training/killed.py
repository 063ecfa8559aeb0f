"""Twenty runs killed with SIGKILL at random moments for each number of workers, and resumed.

A run may be killed again while it goes on, or end before it is hit (deaths are counted). Each must end with the very
weights of the run that was left in peace.
"""

import hashlib
import multiprocessing
import os
import random
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.common import Record, command, save

RUNS, WORKERS = 20, (0, 1, 4)
SETTINGS = {
    "net": "googlenet_small",
    "size": 28,
    "channels": "gray",
    "epochs": 3,
    "batch_size": 32,
    "checkpoint_every": 5,
}
PER_CLASS = 24
CONTEXT = multiprocessing.get_context("forkserver")


def train(data: str, out: str, workers: int) -> None:
    """Begin the run in `out`, or go on with it."""
    import torch

    import inceptorch
    from inceptorch.training.recipe import SCRATCH, with_values
    from inceptorch.utils.progress import Progress

    torch.set_num_threads(1)
    quiet = Progress(quiet=True)
    if (Path(out) / "run.yaml").exists():
        inceptorch.resume(out, quiet)
    else:
        recipe = with_values(SCRATCH, {**SETTINGS, "num_workers": workers})
        inceptorch.train(data, out=out, recipe=recipe, progress=quiet)


def killed(data: str, out: str, workers: int, after: list[float]) -> list[str]:
    """Train to the end through a SIGKILL after each of so many seconds; where each found the run."""
    found = []
    for seconds in [*after, None]:
        process = CONTEXT.Process(target=train, args=(data, out, workers))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            found.append(place(Path(out)))
        elif process.exitcode == 0:
            break
    return found


def place(run: Path) -> str:
    """How far a dead run had come, in words."""
    if not (run / "run.yaml").exists():
        return "before it began"
    if not (run / "checkpoints" / "last.safetensors").exists():
        return "before its first checkpoint"
    return "after a checkpoint"


def digest(run: str) -> str:
    return hashlib.sha256((Path(run) / "model.safetensors").read_bytes()).hexdigest()


def run() -> Record:
    CONTEXT.set_forkserver_preload(["torch", "torchvision", "inceptorch.training", "bench.training.killed"])
    from inceptorch.cli.demo import write_digits

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        write_digits(Path(folder) / "all")
        data = some(Path(folder) / "all", Path(folder) / "digits")
        for workers in WORKERS:
            began = time.perf_counter()
            killed(data, f"{folder}/{workers}-whole", workers, [])
            seconds = time.perf_counter() - began
            whole = digest(f"{folder}/{workers}-whole")
            draw = random.Random(workers)
            moments = [[draw.uniform(0.5, seconds), draw.uniform(0.5, seconds)] for _ in range(RUNS)]
            outs = [f"{folder}/{workers}-{number}" for number in range(RUNS)]
            found = list(pool.map(lambda out, after, n=workers: killed(data, out, n, after), outs, moments))
            same = sum(digest(out) == whole for out in outs)
            deaths = [where for each in found for where in each]
            rows.append(
                {
                    "workers": workers,
                    "runs": RUNS,
                    "same": same,
                    "sha256": whole,
                    "killed": sum(bool(each) for each in found),
                    "deaths": {where: deaths.count(where) for where in sorted(set(deaths))},
                }
            )
            record = {"n": {"runs": RUNS * len(rows)}, "rows": rows}
            save("killed", record)
    return record


def some(whole: Path, part: Path) -> str:
    """The first digits of every class, as links."""
    for folder in sorted(whole.glob("*/*")):
        to = part / folder.relative_to(whole)
        to.mkdir(parents=True)
        for path in sorted(folder.iterdir())[:PER_CLASS]:
            (to / path.name).symlink_to(path)
    return str(part)


def render(record: Record) -> str:
    parts = [f"## Killed by SIGKILL at random moments, up to twice each, and resumed\n\n`{command(record)}`\n"]
    parts.append("A run that ended before its signal came was not killed.\n")
    parts.append(
        "| workers | runs | killed at least once | deaths | with the SHA-256 of the uninterrupted run |\n"
        "| --- | --- | --- | --- | --- |"
    )
    for row in record["rows"]:
        deaths = sum(row["deaths"].values())
        where = ", ".join(f"{count} {name}" for name, count in row["deaths"].items())
        killed = row.get("killed", f"not recorded, at most {min(row['runs'], deaths)}")
        parts.append(f"| {row['workers']} | {row['runs']} | {killed} | {deaths}: {where} | {row['same']} |")
    return "\n".join(parts)
