"""What a network makes of the pictures of a split, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from inceptorch.classifier.classifier import Classifier
from inceptorch.data import Split
from inceptorch.evaluation.metrics import Floats, log_softmax
from inceptorch.images.crops import Protocol, Views
from inceptorch.inference.engines import Engine
from inceptorch.utils.cpu import processors
from inceptorch.utils.ordered_map import ahead
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8  # squares that go through the network together: few enough for the cache
MOST_AT_ONCE = 16

T = TypeVar("T")
R = TypeVar("R")


def outputs_of(
    classifier: Classifier,
    split: Split,
    progress: Progress,
    what: str,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """What `forward` (by default the model) makes of every picture of a split: [N, outputs] on the CPU, in its order."""
    import torch

    def one(indices: range) -> Tensor:
        return classifier.outputs([split.square(index, classifier.pixels) for index in indices], forward)

    tasks = [range(start, min(start + BATCH, len(split))) for start in range(0, len(split), BATCH)]
    with side_by_side() as run:
        return torch.cat(list(progress.track(run(one, tasks), len(tasks), what)))


def log_probabilities(engine: Engine, views: Sequence[Views]) -> Floats:
    """The logarithms of the averaged probabilities, float32 [N, classes], of pictures as a protocol's `views` of them."""
    crops = np.concatenate([view.crops for view in views])
    weights = np.concatenate([view.weights for view in views])[:, None]
    starts = np.cumsum([0] + [len(view.crops) for view in views[:-1]])
    batches = [crops[start : start + engine.batch] for start in range(0, len(crops), engine.batch)]
    logs = log_softmax(np.concatenate([engine.logits(batch) for batch in batches]))
    # From the largest on, as exp(-800) is 0 and has no logarithm.
    highest = np.maximum.reduceat(logs, starts)
    shares = np.exp(logs - np.repeat(highest, [len(view.crops) for view in views], axis=0))
    averaged: Floats = (highest + np.log(np.add.reduceat(weights * shares, starts))).astype(np.float32)
    return averaged


def pictures_at_once(engine: Engine, protocol: Protocol) -> int:
    """How many pictures fill a batch."""
    return max(1, engine.batch // protocol.count)


@contextmanager
def side_by_side(
    engine: Engine | None = None, threads: int | None = None
) -> Iterator[Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]]:
    """A `map` that works on several items at once, in order, and takes no more of them than it needs.

    On a CPU each has few of torch's cores: decoding then never makes the network wait, and small batches stay in the
    cache. Other engines divide the cores themselves; then there are `threads` at least, by default one for each core.
    """
    if engine is not None and engine.name != "torch":
        at_once = min(max(threads or processors(), engine.at_once), MOST_AT_ONCE)
        with ThreadPoolExecutor(at_once) as pool:
            yield lambda work, items: ahead(pool, work, items, 2 * at_once)
        return
    import torch

    cores = torch.get_num_threads()
    at_once = min(cores, MOST_AT_ONCE)
    try:
        with ThreadPoolExecutor(at_once, initializer=lambda: torch.set_num_threads(max(1, cores // at_once))) as pool:
            yield lambda work, items: ahead(pool, work, items, 2 * at_once)
    finally:
        torch.set_num_threads(cores)
