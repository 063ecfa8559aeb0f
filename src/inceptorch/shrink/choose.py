"""The channels that stay for a budget: in multiply-adds, in milliseconds, or in megabytes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import ClassifierConfig
from inceptorch.data import Split
from inceptorch.errors import RunError, did_you_mean
from inceptorch.shrink.channels import ChannelGraph, channel_graph, with_widths
from inceptorch.shrink.cut import cut
from inceptorch.shrink.measure import fastest_fp32, file_size
from inceptorch.shrink.select import (
    Correlation,
    Fixed,
    Importance,
    Keep,
    Method,
    by_rank,
    l1_norms,
    order,
    random_scores,
)
from inceptorch.shrink.statistics import Moments, draw_images, measure_moments, taylor_importance
from inceptorch.utils.progress import Progress

METHODS: tuple[str, ...] = get_args(Method)
SEARCH = 6  # networks that are measured for a budget in milliseconds
SIZE_SEARCH = 30


@dataclass(frozen=True)
class Budget:
    """What may stay: a fraction of the multiply-adds, milliseconds of an image in fp32, or megabytes of the int8 file.
    Exactly one is given."""

    cost: float | None = None
    ms: float | None = None
    mb: float | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) != 1:
            raise RunError("Cannot shrink without one budget. Give --cost, --ms or --mb, and one of them alone.")
        if self.cost is not None and not 0 < self.cost < 1:
            raise RunError(f"Cannot shrink to {self.cost:g}: --cost is a fraction above 0 and below 1. Try --cost 0.5.")
        value = getattr(self, given[0])
        if not 0 < value < math.inf:
            raise RunError(f"Cannot shrink to {value:g}: --{given[0]} is a number above 0. Try --{given[0]} 5.")


@dataclass(frozen=True)
class Chosen:
    """The channels that stay, and what cutting takes."""

    classifier: Classifier
    graph: ChannelGraph
    keep: Keep
    moments: Mapping[str, Moments] | None  # None: channels are deleted
    indices: list[int]  # of the training images that were looked at

    def cut(self) -> Classifier:
        """The smaller classifier."""
        return cut(self.classifier, self.graph, self.keep, self.moments)


@dataclass(frozen=True)
class Criterion:
    """How channels are chosen: by what, with how many images, and by what seed these are drawn. `refit` None: with
    correlation alone."""

    by: str = "correlation"
    refit: bool | None = None
    images: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in METHODS:
            raise RunError(f"Cannot choose channels by {self.by!r}: {did_you_mean(self.by, METHODS)}")

    @property
    def refits(self) -> bool:
        return self.by == "correlation" if self.refit is None else self.refit


def choose(
    classifier: Classifier,
    training: Split,
    budget: Budget,
    criterion: Criterion,
    folder: Path,
    crops: NDArray[np.uint8],
    progress: Progress,
) -> Chosen:
    """The channels that stay within the budget, chosen on images of the training split. `folder` is the classifier's
    bundle and `crops` are uint8 images [N, S, S, 3], by which time and size are measured."""
    config, model = classifier.config, classifier.model
    size = config.preprocessing.size
    graph = channel_graph(config.network, (model.in_chans, size, size), len(config.classes))
    whole, least = graph.macs({}), graph.macs({at: graph.floor(at) for at in graph.prunable})
    target = float(least) if budget.cost is None else budget.cost * whole
    if target < least:
        raise RunError(
            f"Cannot shrink to {budget.cost:g}: of its multiply-adds at least {least / whole:.3f} stay. Try --cost "
            f"{min(0.99, math.ceil(100 * least / whole) / 100):g}."
        )
    indices = draw_images(training, criterion.images, criterion.seed)
    moments = None
    if criterion.by == "correlation" or criterion.refits:
        moments = measure_moments(classifier, graph, training, indices, criterion.seed, progress)
    importance, per_mac = _importance(classifier, graph, training, indices, moments, criterion, progress)
    progress.info(f"choosing among {sum(graph.widths().values()):,} channels by {criterion.by}")
    found = order(graph, importance, target, per_mac)

    def chosen(macs: float) -> Chosen:
        return Chosen(classifier, graph, found.keep(macs), moments if criterion.refits else None, indices)

    if budget.ms is not None:
        target = _search_ms(budget.ms, least, whole, chosen, folder, crops, progress)
    elif budget.mb is not None:
        target = _search_mb(budget.mb, least, whole, chosen, config, file_size(folder, crops, progress))
    return chosen(target)


def _importance(
    classifier: Classifier,
    graph: ChannelGraph,
    training: Split,
    indices: list[int],
    moments: Mapping[str, Moments] | None,
    criterion: Criterion,
    progress: Progress,
) -> tuple[Importance, bool]:
    """What each channel is worth, and whether that is weighed against the multiply-adds that it costs: measures of
    error are; ranks take the same fraction of every layer."""
    state = classifier.model.state_dict()
    tensors = {name: tensor.detach().cpu().double().numpy() for name, tensor in state.items() if tensor.ndim > 1}
    if criterion.by == "correlation" and moments is not None:
        return Correlation(graph, moments, tensors), True
    if criterion.by == "taylor":
        return Fixed(taylor_importance(classifier, graph, training, indices, progress)), True
    scores = l1_norms(graph, tensors) if criterion.by == "l1" else random_scores(graph, criterion.seed)
    return by_rank(scores), False


def _search_ms(
    ms: float,
    least: float,
    whole: float,
    chosen: Callable[[float], Chosen],
    folder: Path,
    crops: NDArray[np.uint8],
    progress: Progress,
) -> float:
    """The most multiply-adds with which an image takes at most `ms` milliseconds in fp32."""
    before, engine = fastest_fp32(folder, crops)
    if ms >= before:
        raise RunError(f"Cannot shrink to {ms:g} ms: it takes {before:.3g} ms on {engine} already. Try fewer.")
    taken = before

    def fits(macs: float) -> bool:
        nonlocal taken
        with tempfile.TemporaryDirectory() as place:
            chosen(macs).cut().save(Path(place) / "net")
            taken, engine = fastest_fp32(Path(place) / "net", crops)
        progress.info(f"{macs / whole:.0%} of the multiply-adds: {taken:.3g} ms on {engine}")
        return taken <= ms

    found = _most(least, whole, SEARCH, fits)
    if found is None:
        raise RunError(f"Cannot shrink to {ms:g} ms: the smallest network that was tried takes {taken:.3g}. Try more.")
    return found


def _search_mb(
    mb: float,
    least: float,
    whole: float,
    chosen: Callable[[float], Chosen],
    config: ClassifierConfig,
    file: tuple[float, float],
) -> float:
    """The most multiply-adds with which the file has at most `mb` megabytes. `file` is the size of the original's, and
    what each parameter takes of it; the rest stays as it is."""
    size, each = file

    def megabytes(macs: float) -> float:
        net = with_widths(config.network, {at: len(stay) for at, stay in chosen(macs).keep.items()})
        return each * _params(replace(config, spec=net)) + beside

    beside = size - each * _params(config)
    smallest = megabytes(least)
    if not smallest <= mb < size:
        raise RunError(
            f"Cannot shrink to {mb:g} MB: it has {size:.3g} and can have {smallest:.3g}. Try a size between these."
        )
    return _most(least, whole, SIZE_SEARCH, lambda macs: megabytes(macs) <= mb) or least


def _params(config: ClassifierConfig) -> int:
    return sum(layer.params for layer in config.layer_costs)


def _most(low: float, high: float, steps: int, fits: Callable[[float], bool]) -> float | None:
    """The most that fits and was tried, by halving the interval; None where nothing did."""
    found = None
    for _ in range(steps):
        middle = (low + high) / 2
        if fits(middle):
            low = found = middle
        else:
            high = middle
    return found
