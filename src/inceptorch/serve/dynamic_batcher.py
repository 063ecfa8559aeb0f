"""The images of all connections, given to an engine in batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inceptorch.images.preprocessing import ImageArray
from inceptorch.inference.engines import Engine
from inceptorch.serve.metrics import ModelMetrics
from inceptorch.serve.priority import NETWORK, step_back


class SingleOutput(NamedTuple):
    """What a network makes of one image: of an `EngineOutput`, one row."""

    probabilities: NDArray[np.float32]  # [classes]
    maps: NDArray[np.float32] | None  # [K, h, w]
    map_classes: NDArray[np.int64] | None  # [K]


def run_single(engine: Engine, crops: Sequence[ImageArray]) -> list[SingleOutput]:
    """What the engine makes of a batch, with maps, for each image."""
    output = engine.run(np.stack(crops), maps=True)
    nothing = [None] * len(crops)
    maps = nothing if output.maps is None else output.maps
    map_classes = nothing if output.map_classes is None else output.map_classes
    return list(map(SingleOutput, output.probabilities, maps, map_classes))


class DynamicBatcher:
    """A queue of crops before an engine. As soon as one of its `max_concurrency` threads is free, it takes what waits,
    up to `engine.batch_size` images: alone, an image waits for nobody, and under load batches fill by themselves."""

    def __init__(self, engine: Engine, metrics: ModelMetrics):
        self._engine, self._metrics = engine, metrics
        self._waiting: deque[tuple[ImageArray, Future[SingleOutput]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(engine.max_concurrency)]
        for thread in self._threads:
            thread.start()

    def submit(self, crop: ImageArray) -> Future[SingleOutput]:
        """What the engine makes of a crop, later; one that is cancelled before its turn is left out."""
        future: Future[SingleOutput] = Future()
        with self._changed:
            self._waiting.append((crop, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the threads when all is answered that was submitted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _next(self) -> list[tuple[ImageArray, Future[SingleOutput]]]:
        """The next batch, once there is one; after the end, an empty one."""
        batch: list[tuple[ImageArray, Future[SingleOutput]]] = []
        with self._changed:
            while not batch:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    break
                while self._waiting and len(batch) < self._engine.batch_size:
                    crop, future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        batch.append((crop, future))
        return batch

    def _work(self) -> None:
        step_back(NETWORK)
        while batch := self._next():
            self._metrics.batch.observe(len(batch))
            try:
                with self._metrics.engine.time():
                    outputs = run_single(self._engine, [crop for crop, _ in batch])
            except Exception as error:  # whatever an engine raises is for those who wait for it; others go on
                for _, future in batch:
                    future.set_exception(error)
                continue
            for output, (_, future) in zip(outputs, batch, strict=True):
                future.set_result(output)
