"""Decoding and the network at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import not_finite
from inceptorch.errors import ImageError
from inceptorch.images.crops import Views
from inceptorch.inference.engines import Engine
from inceptorch.inference.forward import log_probabilities, side_by_side

Item = TypeVar("Item")
Told = NDArray[np.float32] | ImageError  # the probabilities [classes] of a picture, or why it cannot be read


def answered(
    engine: Engine, items: Iterable[Item], read: Callable[[Item], Views], together: int, threads: int | None = None
) -> Iterator[tuple[Item, Told]]:
    """Each item with its probabilities float32 [classes], or with the ImageError that `read` raised for it, in order.

    `read` gives a protocol's views of an item. Batches of `together` items are read and go through the network side by
    side, in as many threads as there are processors (or `threads`), a few batches ahead of whoever takes the answers,
    however many items there are: while one thread decodes, another computes. Which items share a batch depends on their
    places alone. Raises BundleError for answers that are not finite.
    """

    def answer(batch: list[Item]) -> list[tuple[Item, Told]]:
        views: list[Views] = []
        faults: list[ImageError | None] = []
        for item in batch:
            try:
                views.append(read(item))
                faults.append(None)
            except ImageError as error:
                faults.append(error)
        rows = iter(_probabilities(engine, views) if views else ())
        return [(item, next(rows) if fault is None else fault) for item, fault in zip(batch, faults, strict=True)]

    with side_by_side(engine, threads) as run:
        for answers in run(answer, in_batches(items, together)):
            yield from answers


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
