"""The pictures of all connections, given to an engine in batches."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inceptorch.images.preprocessing import Square
from inceptorch.inference.engines import Answer, Engine
from inceptorch.serve.metrics import ModelMetrics
from inceptorch.serve.priority import NETWORK, step_back


class One(NamedTuple):
    """What an engine says of one picture: of an `Answer`, one row."""

    probabilities: NDArray[np.float32]  # [classes]
    maps: NDArray[np.float32] | None  # [K, h, w]
    map_classes: NDArray[np.int64] | None  # [K]


def ones(answer: Answer) -> list[One]:
    """An answer as one for each picture."""
    count = len(answer.probabilities)
    maps = [None] * count if answer.maps is None else answer.maps
    map_classes = [None] * count if answer.map_classes is None else answer.map_classes
    return list(map(One, answer.probabilities, maps, map_classes))


class Batches:
    """A queue of squares before an engine. As soon as one of its `at_once` threads is free, it takes what waits, up to
    `engine.batch` pictures: alone, a picture waits for nobody, and under load batches fill by themselves."""

    def __init__(self, engine: Engine, metrics: ModelMetrics):
        self._engine, self._metrics = engine, metrics
        self._waiting: deque[tuple[Square, Future[One]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(engine.at_once)]
        for thread in self._threads:
            thread.start()

    def submit(self, square: Square) -> Future[One]:
        """What the engine says of a square, later; one that is cancelled before its turn is left out."""
        future: Future[One] = Future()
        with self._changed:
            self._waiting.append((square, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the threads when all is answered that was submitted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _next(self) -> list[tuple[Square, Future[One]]]:
        """The next batch, once there is one; after the end, an empty one."""
        batch: list[tuple[Square, Future[One]]] = []
        with self._changed:
            while not batch:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    break
                while self._waiting and len(batch) < self._engine.batch:
                    square, future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        batch.append((square, future))
        return batch

    def _work(self) -> None:
        step_back(NETWORK)
        while batch := self._next():
            self._metrics.batch.observe(len(batch))
            try:
                with self._metrics.engine.time():
                    answer = self._engine.answer(np.stack([square for square, _ in batch]))
            except Exception as error:  # whatever an engine raises is for those who wait for it; others go on
                for _, future in batch:
                    future.set_exception(error)
                continue
            for one, (_, future) in zip(ones(answer), batch, strict=True):
                future.set_result(one)
