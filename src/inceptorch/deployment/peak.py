"""What this processor reaches at best: a large matrix product, by whatever here computes it fastest."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

SIDE = 1024  # short enough that some products are not disturbed by other work
SECONDS = 0.7  # that each way is tried


def peak(precision: str) -> float | None:
    """Operations per second, a multiplication and its addition counted as two; the fastest of many products of matrices
    of 1024 by 1024. None where nothing that is installed computes them in "fp32", "bf16" or "int8"."""
    ways: list[Callable[[], Any]] = []
    if precision == "fp32":
        left, right = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype(np.float32)
        ways.append(lambda: left @ right)
    if find_spec("torch") is not None:
        ways.append(_torch(precision))
    if find_spec("openvino") is not None:
        ways.append(_openvino(precision))
    return max(map(_fastest, ways), default=None)


def _fastest(product: Callable[[], Any]) -> float:
    shortest, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        began = time.perf_counter()
        product()
        shortest = min(shortest, time.perf_counter() - began)
    return 2 * SIDE**3 / shortest


def _torch(precision: str) -> Callable[[], Any]:
    import torch

    if precision == "int8":
        left, right = torch.randint(-127, 128, (2, SIDE, SIDE), dtype=torch.int8)
        return lambda: torch._int_mm(left, right)
    left, right = torch.randn(2, SIDE, SIDE, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    return lambda: left @ right


def _openvino(precision: str) -> Callable[[], Any]:
    import openvino
    from openvino import opset13

    from inceptorch.inference.engines.openvino import HINTS, core

    left, right = np.random.default_rng(0).uniform(-1, 1, (2, SIDE, SIDE)).astype(np.float32)
    given = opset13.parameter([SIDE, SIDE], np.float32)
    factors = [given, opset13.constant(right)]
    if precision == "int8":
        low, high = np.float32(-1), np.float32(1)
        levels = (256, 255)
        factors = [
            opset13.fake_quantize(factor, low, high, low, high, count)
            for factor, count in zip(factors, levels, strict=True)
        ]
    model = openvino.Model([opset13.matmul(*factors, False, False)], [given])
    settings = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    request = core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer([left], share_inputs=True)
