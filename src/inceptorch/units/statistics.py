"""Sums over the maps of one layer, and what follows from them: correlation, rank, dead units.

The sums take batches one after another, so memory does not grow with the number of images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inceptorch.errors import NonFiniteOutputError

DISTANCES = (0, 1, 2)  # places between the two units that are compared
MAX_PLACES = 7  # along each side of a map; neighboring places are far from independent
DIMENSIONS = (0.90, 0.95, 0.99)  # fractions of the variance
RARE = 0.01  # of the places
CONSTANT = 1e-5  # deviation below which a channel is constant, as a fraction of its root mean square

Matrix = NDArray[np.float64]


class PairSums:
    """Sums over pairs of observations (a, b), each of all channels."""

    def __init__(self, channels: int):
        self.n = 0
        self.a, self.b, self.aa, self.bb = (np.zeros(channels) for _ in range(4))
        self.ab = np.zeros((channels, channels))

    def add(self, a: Tensor, b: Tensor) -> None:
        """Add pairs of rows [n, C]."""
        self.n += len(a)
        self.a += _sum(a)
        self.b += _sum(b)
        self.aa += _sum(a.square())
        self.bb += _sum(b.square())
        self.ab += (a.T @ b).double().cpu().numpy()

    def covariance(self) -> Matrix:
        """[C, C]: of channel i of a and channel j of b."""
        n = max(self.n, 1)
        return self.ab / n - np.outer(self.a / n, self.b / n)

    def correlation(self, shift: NDArray[np.float64]) -> tuple[Matrix, NDArray[np.bool_]]:
        """Pearson's r [C, C] of channel i of a and channel j of b, 0 where one is constant; and [C], which are not.
        `shift` is what was subtracted from both."""
        n = max(self.n, 1)
        deviations, varies = [], np.ones(len(self.a), np.bool_)
        for total, squares in ((self.a, self.aa), (self.b, self.bb)):
            variance = np.maximum(squares / n - (total / n) ** 2, 0)
            varies &= variance > CONSTANT**2 * (variance + (total / n + shift) ** 2)
            deviations.append(np.sqrt(variance))
        scale = np.where(np.outer(varies, varies), np.outer(*deviations), np.inf)
        return np.clip(self.covariance() / scale, -1, 1), varies


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """What the maps of one layer are like.

    places              of all images at which correlations were taken
    correlation         Pearson's r of units at the same place, float64 [C, C]; 0 for units that are constant
    varies              bool [C], the units that are not constant; all figures but those of activity are of them
    mean_correlation    mean absolute r of two units by the distance of their places; None where the map is too small
    self_correlation    mean r of a unit with itself by that distance
    nearest_correlation mean over units of the highest absolute r with another, by that distance
    effective_rank      exp of the entropy of the covariance's eigenvalues, each as a fraction of their sum
    participation_ratio square of the sum of the eigenvalues over the sum of their squares
    dimensions          eigenvalues that hold 90, 95 and 99 % of the variance
    active              fraction of all places at which each unit is not zero [C]
    zeros               fraction of zeros in all maps
    """

    places: int
    correlation: Matrix
    varies: NDArray[np.bool_]
    mean_correlation: dict[int, float | None]
    self_correlation: dict[int, float | None]
    nearest_correlation: dict[int, float | None]
    effective_rank: float
    participation_ratio: float
    dimensions: dict[float, int]
    active: NDArray[np.float64]
    zeros: float

    @property
    def dead(self) -> list[int]:
        """Units that are zero at every place of every image."""
        return np.flatnonzero(self.active == 0).tolist()

    @property
    def rare(self) -> list[int]:
        """Units that are not dead, but active at less than 1 % of the places."""
        return np.flatnonzero((self.active > 0) & (self.active < RARE)).tolist()


class LayerSums:
    """The sums of one layer of `channels` units."""

    def __init__(self, channels: int):
        self.pairs = {distance: PairSums(channels) for distance in DISTANCES}
        self.nonzero = np.zeros(channels)
        self.seen = 0  # places of all images
        self.shift: Tensor | None = None

    def add(self, maps: Tensor) -> None:
        """Add maps [N, C, H, W], or vectors [N, C], which are maps of one place. Raises NonFiniteOutputError."""
        if maps.ndim == 2:
            maps = maps[:, :, None, None]
        if not bool(torch.isfinite(maps.sum())):
            raise NonFiniteOutputError
        self.nonzero += (maps != 0).sum((0, 2, 3)).cpu().numpy()
        self.seen += len(maps) * maps.shape[2] * maps.shape[3]
        for distance in DISTANCES:
            for a, b in neighbors(maps, distance):
                if self.shift is None:  # so that large means do not swallow small deviations in float32
                    self.shift = a.mean(0)
                self.pairs[distance].add(a - self.shift, b - self.shift)

    def finish(self) -> UnitStatistics:
        """The figures of what was added."""
        shift = np.zeros(len(self.nonzero)) if self.shift is None else self.shift.double().cpu().numpy()
        correlation, varies = self.pairs[0].correlation(shift)
        means: dict[int, float | None] = {}
        selves: dict[int, float | None] = {}
        nearest: dict[int, float | None] = {}
        for distance, pairs in self.pairs.items():
            found, both = pairs.correlation(shift)
            means[distance], selves[distance], nearest[distance] = _summary(found[np.ix_(both, both)])
        np.fill_diagonal(correlation, 1)
        covariance = self.pairs[0].covariance()[np.ix_(varies, varies)]
        eigenvalues = np.linalg.eigvalsh(covariance).astype(np.float64)
        active = self.nonzero / max(self.seen, 1)
        return UnitStatistics(
            self.pairs[0].n, correlation, varies, means, selves, nearest, effective_rank(eigenvalues),
            participation_ratio(eigenvalues), {part: dimensions(eigenvalues, part) for part in DIMENSIONS}, active,
            1 - float(active.mean()),
        )  # fmt: skip


def neighbors(maps: Tensor, distance: int) -> list[tuple[Tensor, Tensor]]:
    """Rows (a, b), each [n, C], of maps [N, C, H, W]: b lies `distance` places to the right of a, or below it. At most
    7 x 7 places of each map are taken, spread evenly; none where the map is too small."""
    height, width = maps.shape[2:]
    if distance == 0:
        rows = _rows(maps, spread(height), spread(width))
        return [(rows, rows)]
    found = []
    for down, right in ((0, distance), (distance, 0)):
        y, x = spread(height - down), spread(width - right)
        if y and x:
            found.append((_rows(maps, y, x), _rows(maps, [at + down for at in y], [at + right for at in x])))
    return found


def spread(length: int) -> list[int]:
    """At most 7 of `length` places: all, or the middles of equal parts."""
    count = min(max(length, 0), MAX_PLACES)
    return [int((number + 0.5) * length / count) for number in range(count)]


def effective_rank(eigenvalues: NDArray[np.float64]) -> float:
    """exp of the entropy of the eigenvalues as fractions of their sum (Roy and Vetterli, 2007); 0 without variance."""
    fractions = _fractions(eigenvalues)
    return math.exp(-float((fractions * np.log(fractions)).sum())) if len(fractions) else 0.0


def participation_ratio(eigenvalues: NDArray[np.float64]) -> float:
    """The number of equal eigenvalues whose squares would have the same sum; 0 without variance."""
    fractions = _fractions(eigenvalues)
    return 1 / float((fractions**2).sum()) if len(fractions) else 0.0


def dimensions(eigenvalues: NDArray[np.float64], part: float) -> int:
    """How many of the largest eigenvalues hold this part of their sum; 0 without variance."""
    held = np.cumsum(_fractions(eigenvalues))
    return min(int(np.searchsorted(held, part * (1 - 1e-12))) + 1, len(held))


def _fractions(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    """The positive eigenvalues as fractions of their sum, the largest first. Below 1e-12 of the largest is rounding."""
    largest = max(float(eigenvalues.max(initial=0)), 0.0)
    kept = np.sort(eigenvalues[eigenvalues > 1e-12 * largest])[::-1] if largest else np.zeros(0)
    return kept / kept.sum() if len(kept) else kept


def _summary(correlation: Matrix) -> tuple[float | None, float | None, float | None]:
    """The mean absolute value beside the diagonal, the mean on it, and the mean of the rows' largest beside it."""
    count = len(correlation)
    if count < 2:
        return None, None, None
    beside = np.abs(correlation)
    np.fill_diagonal(beside, 0)
    mean = float(beside.sum() / (count * (count - 1)))
    return mean, float(np.diagonal(correlation).mean()), float(beside.max(1).mean())


def _rows(maps: Tensor, y: list[int], x: list[int]) -> Tensor:
    """The values [N * len(y) * len(x), C] at these places."""
    chosen = maps[:, :, y][..., x]
    return chosen.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).float()


def _sum(rows: Tensor) -> NDArray[np.float64]:
    total: NDArray[np.float64] = rows.sum(0).double().cpu().numpy()
    return total
