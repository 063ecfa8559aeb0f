"""Two processes on this machine: gloo's all-reduce, and a training step alone, beside another process and joined.

Each process has one thread; rounds alternate between the three kinds of step. Nothing here is computed for hardware
that was not measured.
"""

import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn
from torch.nn import functional as F

from bench.common import Record
from inceptorch.models.module import Model
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.zoo import get_network
from inceptorch.runtime.distributed import DistributedContext

SIZES = [1 << power for power in range(12, 26, 2)] + [1 << 25]  # bytes of an all-reduce
CASES = tuple((net, images) for net in ("googlenet_small", "inception_v3_small") for images in (2, 8))  # of a process
ROUNDS = 15  # a step of each kind in each
CLASSES, FLOAT = 1000, 4  # bytes of a gradient


def run() -> Record:
    """The all-reduce with its fit, and the steps of each case."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_process, (folder,), nprocs=2)  # type: ignore[no-untyped-call]
        found = json.loads(Path(folder, "found.json").read_text())
    return {
        "n": {"rounds": ROUNDS},
        "threads_per_process": 1,
        "all_reduce": found["all_reduce"],
        "fit": fitted(found["all_reduce"]),
        "rows": [_summary(case) for case in found["steps"]],
    }


def render(record: Record) -> str:
    """The tables of docs/scaling.md."""
    fit = record["fit"]
    lines = [
        "### gloo's all-reduce between two processes",
        "",
        f"Fitted: {1e3 * fit['latency']:.2f} ms and {fit['bandwidth'] / 1e9:.2f} GB/s; the largest relative error "
        f"of the fit is {fit['largest_relative_error']:.0%}.",
        "",
        "| KiB | ms |",
        "| --- | --- |",
        *(f"| {row['bytes'] / 1024:,.0f} | {1e3 * row['seconds']:.2f} |" for row in record["all_reduce"]),
        "",
        "### A training step of two processes",
        "",
        "Beside another, two processes compute at the same time and send nothing. Times are in ms. The last column is "
        f"the images/s of two processes together over those of one alone. {record.get('note', '')}".rstrip(),
        "",
        "| network | MB of gradients | alone | beside another | together | images/s of 2 / of 1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in record["rows"]:
        times = (f"{1e3 * case['seconds'][name]:.0f}" for name in ("alone", "beside_another", "distributed"))
        lines.append(
            f"| {case['net']}, {case['images']} images per process | {case['gradient_bytes'] / 1e6:.0f} "
            f"| {' | '.join(times)} | {case['throughput_of_2']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def fitted(rows: list[dict[str, float]]) -> dict[str, float]:
    """Seconds = latency + bytes / bandwidth, by least squares of relative errors; the largest of those beside it."""
    sizes, seconds = np.array([[row["bytes"], row["seconds"]] for row in rows]).T
    slope, latency = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    error = np.abs((latency + slope * sizes) / seconds - 1).max()
    return {"latency": float(latency), "bandwidth": float(1 / slope), "largest_relative_error": float(error)}


def _summary(case: dict[str, Any]) -> dict[str, Any]:
    """A case with the medians of its rounds."""
    rounds = case.pop("rounds")
    medians = {name: median(one[name] for one in rounds) for name in rounds[0]}
    speedup = median(2 * one["alone"] / one["distributed"] for one in rounds)
    return case | {"seconds": medians, "throughput_of_2": speedup}


def _process(rank: int, folder: str) -> None:
    """One of two; the first writes down what it sees."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {"all_reduce": list(_all_reduces()), "steps": [_steps(net, images) for net, images in CASES]}
    if rank == 0:
        Path(folder, "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def _all_reduces() -> Iterator[dict[str, float]]:
    for size in SIZES:
        numbers = torch.zeros(size // FLOAT)
        times = []
        for _ in range(3 * ROUNDS + 2):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(numbers)
            times.append(time.perf_counter() - began)
        yield {"bytes": size, "seconds": median(times[2:])}


def _steps(name: str, images: int) -> dict[str, Any]:
    """Seconds of a step: alone while the other process waits, beside it, and together with it."""
    torch.manual_seed(0)
    net = get_network(name)
    plain = Model(net, CLASSES).to(memory_format=torch.channels_last)
    both = DistributedContext(dist.get_rank(), dist.get_world_size(), torch.device("cpu")).wrap(copy.deepcopy(plain))
    x = torch.randn(images, 3, net.size, net.size).to(memory_format=torch.channels_last)
    step, step_together = _stepper(plain, x), _stepper(both, x)
    rounds = []
    for _ in range(ROUNDS + 1):
        dist.barrier()
        alone = step() if dist.get_rank() == 0 else 0.0
        dist.barrier()
        beside_another = step()
        dist.barrier()
        rounds.append({"alone": alone, "beside_another": beside_another, "distributed": step_together()})
    about = {"net": name, "images": images, "gradient_bytes": FLOAT * count_complexity(net).params}
    return about | {"rounds": rounds[1:]}  # the first one warms up


def _stepper(model: nn.Module, x: torch.Tensor) -> Callable[[], float]:
    """A function that takes one training step and returns its seconds."""
    labels = torch.zeros(len(x), dtype=torch.long)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        began = time.perf_counter()
        F.cross_entropy(model(x), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return time.perf_counter() - began

    return step
