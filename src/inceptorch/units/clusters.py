"""Units that fire together: average linkage on 1 - |r|."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.9, 0.7, 0.5)  # mean absolute r within a cluster


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """The merges of N units, the closest first.

    pairs    int64 [N - 1, 2], the clusters that are merged; merge m makes the cluster N + m
    heights  float64 [N - 1], their distances, which never fall
    """

    pairs: NDArray[np.int64]
    heights: NDArray[np.float64]

    def order(self) -> list[int]:
        """The units so that those of a cluster stand together, the larger clusters first."""
        return next(iter(self._merged(len(self.heights))))

    def clusters(self, level: float) -> list[list[int]]:
        """The clusters whose parts correlate by `level` or more on average, each sorted, by their first unit."""
        count = int(np.searchsorted(self.heights, 1 - level + 1e-9, side="right"))
        return sorted(map(sorted, self._merged(count)))

    def _merged(self, count: int) -> Collection[list[int]]:
        """The clusters after the first `count` merges."""
        units = len(self.heights) + 1
        found = {unit: [unit] for unit in range(units)}
        for at, pair in enumerate(self.pairs[:count].tolist()):
            larger, smaller = sorted((found.pop(number) for number in pair), key=len, reverse=True)
            found[units + at] = larger + smaller
        return found.values()


def average_linkage(correlation: NDArray[np.float64]) -> Dendrogram:
    """Units [N, N] merged by the mean distance 1 - |r| of their members, for N of at least 1.

    Chains of nearest neighbors find the same merges as taking the closest pair each time, in N^2 steps (Murtagh 1983);
    scipy, which has it too, is not needed for anything else.
    """
    count = len(correlation)
    distance = 1 - np.abs(correlation)
    np.fill_diagonal(distance, np.inf)
    sizes, alive = np.ones(count), np.ones(count, np.bool_)
    merges: list[tuple[float, int, int]] = []
    chain: list[int] = []
    while len(merges) < count - 1:
        if not chain:
            chain.append(int(np.argmax(alive)))
        last = chain[-1]
        near = int(np.argmin(distance[last]))
        if len(chain) > 1 and distance[last, chain[-2]] <= distance[last, near]:
            near = chain[-2]  # of equal ones the one before, or the chain might go round
        if len(chain) < 2 or near != chain[-2]:
            chain.append(near)
            continue
        del chain[-2:]
        merges.append((float(distance[last, near]), last, near))
        total = sizes[last] + sizes[near]
        joined = (sizes[last] * distance[last] + sizes[near] * distance[near]) / total
        distance[near] = distance[:, near] = joined
        distance[last] = distance[:, last] = np.inf
        distance[near, near] = np.inf
        sizes[near], alive[last] = total, False
    return _sorted(merges, count)


def _sorted(merges: list[tuple[float, int, int]], count: int) -> Dendrogram:
    """The merges by height, with the numbers of the clusters that each one finds. A merge names one unit of each."""
    parents, numbers = list(range(count)), list(range(count))

    def root(unit: int) -> int:
        while parents[unit] != unit:
            parents[unit] = parents[parents[unit]]
            unit = parents[unit]
        return unit

    pairs = np.zeros((len(merges), 2), np.int64)
    heights = np.zeros(len(merges))
    for at, (height, one, two) in enumerate(sorted(merges, key=lambda merge: merge[0])):
        a, b = root(one), root(two)
        pairs[at], heights[at] = sorted((numbers[a], numbers[b])), height
        parents[a] = b
        numbers[b] = count + at
    return Dendrogram(pairs, np.maximum.accumulate(heights))
