"""Speed of an engine, and images to measure it with."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.inference.engines.base import Engine

WARMUP_CALLS = 2  # per thread


def throughput(engine: Engine, crops: NDArray[np.uint8], seconds: float) -> float:
    """Images per second of a busy engine, with batches of all these images [N, height, width, 3]."""
    call = _call(engine)

    def work(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            call(crops)
            done += 1
        return done

    with ThreadPoolExecutor(engine.max_concurrency) as pool:
        list(pool.map(call, [crops] * (WARMUP_CALLS * engine.max_concurrency)))
        began = time.perf_counter()
        calls = sum(pool.map(work, [began + seconds] * engine.max_concurrency))
        return calls * len(crops) / (time.perf_counter() - began)


def latencies(engine: Engine, crops: NDArray[np.uint8], count: int) -> list[float]:
    """Seconds of each of `count` calls in sequence."""
    call = _call(engine)
    for _ in range(WARMUP_CALLS):
        call(crops)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call(crops)
        times.append(time.perf_counter() - began)
    return times


def _call(engine: Engine) -> Callable[[NDArray[np.uint8]], Any]:
    return engine.run if engine.config.detection is None else engine.detect


def random_images(size: int | tuple[int, int], count: int) -> NDArray[np.uint8]:
    """Smooth random images [N, height, width, 3], more like photographs than noise; `size` is the side of squares, or
    width and height."""
    width, height = (size, size) if isinstance(size, int) else size
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (count, 8, 8, 3))
    large = small.repeat(-(-height // 8), 1).repeat(-(-width // 8), 2)[:, :height, :width]
    return np.clip(large + random.normal(0, 12, large.shape), 0, 255).astype(np.uint8)
