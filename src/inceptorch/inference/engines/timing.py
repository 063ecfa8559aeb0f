"""Speed of an engine, and images to measure it with."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from inceptorch.inference.engines.base import Engine

WARMUP_CALLS = 2  # per thread


def throughput(engine: Engine, crops: NDArray[np.uint8], seconds: float) -> float:
    """Images per second of a busy engine, with batches of all these crops [N, S, S, 3]."""

    def work(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            engine.run(crops)
            done += 1
        return done

    with ThreadPoolExecutor(engine.max_concurrency) as pool:
        list(pool.map(engine.run, [crops] * (WARMUP_CALLS * engine.max_concurrency)))
        began = time.perf_counter()
        calls = sum(pool.map(work, [began + seconds] * engine.max_concurrency))
        return calls * len(crops) / (time.perf_counter() - began)


def latencies(engine: Engine, crops: NDArray[np.uint8], count: int) -> list[float]:
    """Seconds of each of `count` calls in sequence."""
    for _ in range(WARMUP_CALLS):
        engine.run(crops)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        engine.run(crops)
        times.append(time.perf_counter() - began)
    return times


def random_images(size: int, count: int) -> NDArray[np.uint8]:
    """Smooth random images [N, S, S, 3], more like photographs than noise."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (count, 8, 8, 3))
    large = small.repeat(-(-size // 8), 1).repeat(-(-size // 8), 2)[:, :size, :size]
    return np.clip(large + random.normal(0, 12, large.shape), 0, 255).astype(np.uint8)
