"""Decoding and the network at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inceptorch.ahead import ahead
from inceptorch.bundle import not_finite
from inceptorch.engines import Engine
from inceptorch.engines.engine import processors
from inceptorch.errors import PictureError
from inceptorch.evaluation import log_probabilities
from inceptorch.protocols import Views

Item = TypeVar("Item")
Told = NDArray[np.float32] | PictureError  # the probabilities [classes] of a picture, or why it cannot be read


def answered(
    engine: Engine, items: Iterable[Item], read: Callable[[Item], Views], together: int, threads: int | None = None
) -> Iterator[tuple[Item, Told]]:
    """Each item with its probabilities float32 [classes], or with the PictureError that `read` raised for it, in order.

    `read` gives a protocol's views of an item; it is called from as many `threads` as there are processors, `together`
    items go through the network at once, and both run ahead of whoever takes the answers: a few batches, however many
    items there are. Which items share a batch depends on their places alone. Raises BundleError for answers that are
    not finite.
    """
    threads = threads or processors()

    def reading(item: Item) -> tuple[Item, Views | PictureError]:
        try:
            return item, read(item)
        except PictureError as error:
            return item, error

    def answering(batch: list[tuple[Item, Views | PictureError]]) -> list[tuple[Item, Told]]:
        views = [view for _, view in batch if isinstance(view, Views)]
        rows = iter(_probabilities(engine, views) if views else ())
        return [(item, next(rows) if isinstance(view, Views) else view) for item, view in batch]

    with ThreadPoolExecutor(threads) as reads, ThreadPoolExecutor(engine.at_once) as answers:
        batches = in_batches(ahead(reads, reading, items, threads + (engine.at_once + 1) * together), together)
        for batch in ahead(answers, answering, batches, 2 * engine.at_once):
            yield from batch


def _probabilities(engine: Engine, views: list[Views]) -> NDArray[np.float32]:
    """[N, classes], averaged over each picture's views."""
    probabilities: NDArray[np.float32] = np.exp(log_probabilities(engine, views))
    if not np.isfinite(probabilities).all():
        raise not_finite()
    return probabilities


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, `size` at a time; the last may be fewer."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
