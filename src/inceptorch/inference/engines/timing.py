"""How fast an engine is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from inceptorch.inference.engines.base import Engine

WARM = 2  # calls of each thread before the clock starts


def throughput(engine: Engine, squares: NDArray[np.uint8], seconds: float) -> float:
    """Pictures per second when the engine is kept busy for so long with batches of all these squares [N, S, S, 3]."""

    def work(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            engine.logits(squares)
            done += 1
        return done

    with ThreadPoolExecutor(engine.at_once) as pool:
        list(pool.map(engine.logits, [squares] * (WARM * engine.at_once)))
        began = time.perf_counter()
        calls = sum(pool.map(work, [began + seconds] * engine.at_once))
        return calls * len(squares) / (time.perf_counter() - began)


def latencies(engine: Engine, squares: NDArray[np.uint8], count: int) -> list[float]:
    """Seconds of each of so many calls, one after the other."""
    for _ in range(WARM):
        engine.logits(squares)
    found = []
    for _ in range(count):
        began = time.perf_counter()
        engine.logits(squares)
        found.append(time.perf_counter() - began)
    return found
