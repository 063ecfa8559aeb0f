"""The Fréchet distance between two sets of features, each taken as a normal distribution (Heusel et al.,
arXiv:1706.08500).

    |mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 tr (S1 S2)^(1/2)

The packages take the root of a product that is not symmetric, and where there are fewer images than features, of a
singular one: slow, and with noise from zero eigenvalues. Here S1 = L L^T, and the trace is the sum of the roots of the
eigenvalues of L^T S2 L, which is symmetric. Of few images, L holds the centered images themselves. Where both are few,
that is the nuclear norm of the product of their centered images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inceptorch.features.statistics import Statistics
from inceptorch.features.store import Features

Doubles = NDArray[np.float64]
RESAMPLES = 1000  # of the bootstrap
SEED = 0
CONFIDENCE = 0.95
NOISE = 1e-7  # of the largest root, below which one is noise: the root of double precision's


@dataclass(frozen=True, eq=False)
class Side:
    """The statistics of one set of images, with its features where they are at hand."""

    statistics: Statistics
    features: Features | None = None

    @property
    def rank(self) -> int:
        """At most the rank of the covariance."""
        dim = len(self.statistics.mu)
        return dim if self.features is None else min(dim, len(self.features))

    def centered(self) -> Iterator[Doubles]:
        """The features less their mean, a block at a time; none where they are not at hand."""
        if self.features is not None:
            mean = sum(block.sum(0, dtype=np.float64) for block in self.features.blocks()) / len(self.features)
            for block in self.features.blocks():
                yield block - mean

    @property
    def is_few(self) -> bool:
        """Whether there are at most as many images as features."""
        return self.features is not None and len(self.features) <= len(self.statistics.mu)

    def factor(self) -> Doubles:
        """L, [dim, r], with L L^T the covariance: the centered images, or orthogonal columns."""
        if self.features is not None and self.is_few:
            factor: Doubles = np.concatenate(list(self.centered())).T / np.sqrt(len(self.features) - 1)
            return factor
        values, vectors = np.linalg.eigh(self.statistics.sigma)
        real = values > values[-1] * len(values) * np.finfo(np.float64).eps  # the others are noise around 0
        scaled: Doubles = vectors[:, real] * np.sqrt(values[real])
        return scaled


@dataclass(frozen=True)
class Distance:
    """A Fréchet distance with its 95 % interval; None where no side has features to resample."""

    value: float
    interval: tuple[float, float] | None


def frechet_distance(a: Side, b: Side) -> Distance:
    """The distance and its interval.

    The interval is a bootstrap of the images of each side, of the distance's linear part in the weights of images:
    resampled whole, fewer different images would add bias. The bias of `n` itself is not in it.
    """
    few, other = (a, b) if a.rank <= b.rank else (b, a)
    factor = few.factor()
    values, vectors = np.linalg.eigh(factor.T @ other.statistics.sigma @ factor)
    roots = np.sqrt(values.clip(0))
    one, two = a.statistics, b.statistics
    difference = one.mu - two.mu
    value = float(difference @ difference + np.trace(one.sigma) + np.trace(two.sigma) - 2 * roots.sum())
    if a.features is None and b.features is None:
        return Distance(value, None)
    # Each image's part in the trace of the root, which is the sum of the parts of either side.
    inverse = np.divide(1, roots, out=np.zeros_like(roots), where=roots > roots.max(initial=0) * NOISE)
    of_few = vectors**2 @ roots if few.is_few else _parts(few, _whitening(factor) @ vectors, roots)
    traces = of_few, _parts(other, factor @ vectors, inverse)
    random, changes = np.random.default_rng(SEED), np.zeros(RESAMPLES)
    for side, towards, trace in zip(
        (a, b), (difference, -difference), traces if few is a else traces[::-1], strict=True
    ):
        if side.features is not None:
            n = len(side.features)
            rest = [2 * block @ towards / n + (block**2).sum(1) / (n - 1) for block in side.centered()]
            changes += resampled_sums(np.concatenate(rest) - trace, random)
    low, high = around(value, changes)
    return Distance(value, (max(low, min(value, 0.0)), high))


def _whitening(factor: Doubles) -> Doubles:
    """From features to coordinates in which the covariance is 1."""
    whitening: Doubles = factor / (factor**2).sum(0)
    return whitening


def _parts(side: Side, projection: Doubles, weights: Doubles) -> Doubles:
    """The weighted squares of each image's projections, over n - 1; none where the features are not at hand."""
    squares = np.array([square for block in side.centered() for square in (block @ projection) ** 2 @ weights])
    return squares / max(1, len(squares) - 1)


def resampled_sums(parts: Doubles, random: np.random.Generator) -> Doubles:
    """How the sum of `parts` [N] changes where N of them are drawn with replacement, [RESAMPLES]."""
    deviations = parts - parts.mean()
    return np.array([deviations[random.integers(0, len(parts), len(parts))].sum() for _ in range(RESAMPLES)])


@dataclass(frozen=True)
class Estimate:
    """A mean over parts of the images with its 95 % interval, and the deviation between the parts, which is no error of
    the mean."""

    value: float
    std: float
    interval: tuple[float, float]


def around(value: float, changes: Doubles) -> tuple[float, float]:
    """The 95 % interval of a value from its changes under resampling."""
    low, high = np.quantile(changes, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return value + float(low), value + float(high)
