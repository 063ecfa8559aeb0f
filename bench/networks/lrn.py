"""Local response normalization, forward and backward, against torch's own.

The two shapes are GoogLeNet's. Rounds alternate between ours and theirs; the ratio is of the medians.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.common import Record, command
from inceptorch.models.lrn import LocalResponseNorm
from inceptorch.networks.layers import LRN

IMAGES, ROUNDS = 16, 7


def seconds(normalize: Callable[[Tensor], Tensor], x: Tensor) -> float:
    began = time.perf_counter()
    normalize(x).sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began


def run() -> Record:
    results = []
    for row, channels in (("norm1", 64), ("norm2", 192)):
        x = torch.randn(IMAGES, channels, 56, 56).to(memory_format=torch.channels_last).requires_grad_()
        ours = LocalResponseNorm(channels, LRN())

        def theirs(x: Tensor) -> Tensor:
            return F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)

        times = [(seconds(ours, x), seconds(theirs, x)) for _ in range(ROUNDS)][1:]
        mine, other = median(t[0] for t in times), median(t[1] for t in times)
        shape = [IMAGES, channels, 56, 56]
        results.append(
            {"row": row, "shape": shape, "ours_ms": mine * 1e3, "torch_ms": other * 1e3, "ratio": other / mine}
        )
    return {"n": {"rounds": ROUNDS}, "rows": results}


def render(record: Record) -> str:
    parts = [f"## Local response normalization, forward and backward\n\n`{command(record)}`\n"]
    parts.append("| layer | shape | ours | torch | ratio |\n| --- | --- | --- | --- | --- |")
    for row in record["rows"]:
        shape = "x".join(map(str, row["shape"]))
        parts.append(
            f"| {row['row']} | {shape} | {row['ours_ms']:.0f} ms | {row['torch_ms']:.0f} ms | {row['ratio']:.1f} |"
        )
    return "\n".join(parts)
