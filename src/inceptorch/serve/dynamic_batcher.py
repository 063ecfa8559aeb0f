"""Dynamic batching: the inputs of all connections, given to an engine in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

from inceptorch.images.preprocessing import ImageArray
from inceptorch.inference.distance import FeatureDistance
from inceptorch.inference.engines import Engine
from inceptorch.serve.priority import NETWORK, lower_priority


class SingleOutput(NamedTuple):
    """An `EngineOutput` of one image."""

    probabilities: NDArray[np.float32]  # [classes]
    maps: NDArray[np.float32] | None  # [K, h, w]
    map_classes: NDArray[np.int64] | None  # [K]
    distance: float | None = None  # from the training images


def run_batch(
    engine: Engine, crops: Sequence[ImageArray], distance: FeatureDistance | None = None
) -> list[SingleOutput]:
    """Run the engine on a batch, with maps, and split its output by image. Raises ValueError for another number."""
    batch = np.stack(crops)
    output = engine.run(batch, maps=True) if distance is None else engine.run_with_features(batch, maps=True)
    if len(output.probabilities) != len(crops):
        raise ValueError(f"{engine} answered {len(crops)} images with {len(output.probabilities)} outputs")
    missing = [None] * len(crops)
    maps = missing if output.maps is None else output.maps
    map_classes = missing if output.map_classes is None else output.map_classes
    distances = missing if distance is None or output.features is None else distance(output.features).tolist()
    return list(map(SingleOutput, output.probabilities, maps, map_classes, distances))


class DynamicBatcher:
    """A queue of inputs in front of an engine. Each of its `max_concurrency` threads takes up to `engine.batch_size`
    waiting inputs as soon as it is free, and gives them to `run`, which calls the engine. An input on its own never
    waits, and under load batches fill by themselves."""

    def __init__(self, engine: Engine, run: Callable[[Sequence[Any]], list[Any]], sizes: Histogram, seconds: Histogram):
        self._engine, self._run, self._sizes, self._seconds = engine, run, sizes, seconds
        self._queue: SimpleQueue[tuple[Any, Future[Any]] | None] = SimpleQueue()  # None: the end
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(engine.max_concurrency)]
        for thread in self._threads:
            thread.start()

    def submit(self, input: Any) -> Future[Any]:
        """The future output for an input; if it is canceled before its turn, the input is left out."""
        future: Future[Any] = Future()
        self._queue.put((input, future))
        return future

    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def close(self, seconds: float) -> None:
        """End the threads once all submitted inputs are answered; wait for each so long, as an engine may hang."""
        self._queue.put(None)
        for thread in self._threads:
            thread.join(seconds)

    def _next_batch(self) -> list[tuple[Any, Future[Any]]]:
        """The next batch, as soon as there is one; after the end, an empty one."""
        batch: list[tuple[Any, Future[Any]]] = []
        with suppress(Empty):
            while len(batch) < self._engine.batch_size:
                item = self._queue.get(block=not batch)
                if item is None:
                    self._queue.put(None)  # for the other threads
                    break
                if item[1].set_running_or_notify_cancel():
                    batch.append(item)
        return batch

    def _work(self) -> None:
        lower_priority(NETWORK)
        while batch := self._next_batch():
            self._sizes.observe(len(batch))
            try:
                with self._seconds.time():
                    outputs = self._run([input for input, _ in batch])
            except BaseException as error:  # it belongs to the requests of this batch; later ones go on
                # The loop that waits would take SystemExit for its own end.
                failure = error if isinstance(error, Exception) else RuntimeError(f"{self._engine}: {error!r}")
                for _, future in batch:
                    future.set_exception(failure)
                continue
            for output, (_, future) in zip(outputs, batch, strict=True):
                future.set_result(output)
