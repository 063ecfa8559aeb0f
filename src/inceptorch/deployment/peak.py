"""Peak arithmetic of this processor: a large matrix product by the fastest library installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

SIZE = 1024  # small enough that some products run undisturbed by other work
SECONDS = 0.7  # of timing for each library


def peak(precision: str) -> float | None:
    """Operations per second in "fp32", "bf16" or "int8", a multiply-add counted as two: the fastest of many products of
    matrices of 1024x1024. None if no installed library computes them."""
    products: list[Callable[[], Any]] = []
    if precision == "fp32":
        left, right = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(np.float32)
        products.append(lambda: left @ right)
    if find_spec("torch") is not None:
        products.append(_torch(precision))
    if find_spec("openvino") is not None:
        products.append(_openvino(precision))
    return max((2 * SIZE**3 / _shortest(product) for product in products), default=None)


def _shortest(product: Callable[[], Any]) -> float:
    shortest, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        began = time.perf_counter()
        product()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest


def _torch(precision: str) -> Callable[[], Any]:
    import torch

    if precision == "int8":
        left, right = torch.randint(-127, 128, (2, SIZE, SIZE), dtype=torch.int8)
        return lambda: torch._int_mm(left, right)
    left, right = torch.randn(2, SIZE, SIZE, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    return lambda: left @ right


def _openvino(precision: str) -> Callable[[], Any]:
    import openvino
    from openvino import opset13

    from inceptorch.inference.engines.openvino import HINTS, core

    left, right = np.random.default_rng(0).uniform(-1, 1, (2, SIZE, SIZE)).astype(np.float32)
    parameter = opset13.parameter([SIZE, SIZE], np.float32)
    factors = [parameter, opset13.constant(right)]
    if precision == "int8":
        low, high = np.float32(-1), np.float32(1)
        factors = [
            opset13.fake_quantize(factor, low, high, low, high, levels)
            for factor, levels in zip(factors, (256, 255), strict=True)
        ]
    model = openvino.Model([opset13.matmul(*factors, False, False)], [parameter])
    settings = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    request = core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer([left], share_inputs=True)
