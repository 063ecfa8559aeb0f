"""Batches in several threads: while one decodes, another computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Event
from typing import Protocol, TypeVar

from inceptorch.utils.cpu import processors
from inceptorch.utils.ordered_map import ordered_map

MAX_THREADS = 16

T = TypeVar("T")
R = TypeVar("R")


class Executor(Protocol):
    """What executes a network: an `Engine`, or an extractor of features."""

    @property
    def name(self) -> str: ...
    @property
    def max_concurrency(self) -> int: ...


def map_batches(
    engine: Executor,
    work: Callable[[list[T]], R],
    items: Iterable[T],
    batch_size: int,
    threads: int | None = None,
    ended: Event | None = None,
) -> Iterator[R]:
    """Results of `work`, which calls the engine, for every `batch_size` items, in order and a few batches ahead.

    Which items share a batch depends on their order alone. `ended` is set at the end, also of one that Ctrl-C or the
    caller brings early: the pool then waits for what has begun, and work that takes long can stop for it.
    """
    with _threads(engine, threads) as (pool, count):
        try:
            yield from ordered_map(pool, work, in_batches(items, batch_size), 2 * count)
        finally:
            if ended is not None:
                ended.set()


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, `size` at a time; the last may be fewer."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


@contextmanager
def _threads(engine: Executor, threads: int | None) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """A pool and its number of threads.

    torch's cores are divided among them, so that the network never waits for decoding and small batches stay in the
    cache. Other engines divide the cores themselves; then there are at least `threads`, by default one per core.
    """
    if engine.name != "torch":
        count = min(max(threads or processors(), engine.max_concurrency), MAX_THREADS)
        with ThreadPoolExecutor(count) as pool:
            yield pool, count
        return
    import torch

    cores = torch.get_num_threads()
    count = min(cores, MAX_THREADS)
    try:
        with ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(max(1, cores // count))) as pool:
            yield pool, count
    finally:
        torch.set_num_threads(cores)
