"""Average linkage, beside scipy's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from inceptorch.units.clusters import average_linkage


def correlation_of(units: int, seed: int) -> NDArray[np.float64]:
    """The correlation of units that share causes."""
    random = np.random.default_rng(seed)
    causes = random.normal(size=(200, max(2, units // 3)))
    rows = causes @ random.normal(size=(causes.shape[1], units)) + 0.5 * random.normal(size=(200, units))
    return np.asarray(np.corrcoef(rows.T))


@pytest.mark.parametrize("units", [2, 5, 40])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_merges_are_scipys(units: int, seed: int) -> None:
    correlation = correlation_of(units, seed)
    distance = 1 - np.abs(correlation)
    np.fill_diagonal(distance, 0)
    expected = hierarchy.linkage(squareform(distance, checks=False), "average")
    found = average_linkage(correlation)
    np.testing.assert_allclose(found.heights, expected[:, 2], atol=1e-12)
    np.testing.assert_array_equal(found.pairs, np.sort(expected[:, :2].astype(np.int64), 1))
    for level in (0.9, 0.7, 0.5, 0.2):
        labels = hierarchy.fcluster(expected, 1 - level, "distance")
        together = [sorted(np.flatnonzero(labels == label).tolist()) for label in set(labels)]
        assert found.clusters(level) == sorted(together)


def test_units_that_are_the_same_are_one_cluster() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(500, 6))
    rows[:, 4] = 2 * rows[:, 1]
    rows[:, 5] = -rows[:, 1]
    dendrogram = average_linkage(np.asarray(np.corrcoef(rows.T)))
    assert dendrogram.clusters(0.9) == [[0], [1, 4, 5], [2], [3]]
    assert dendrogram.clusters(0.0) == [[0, 1, 2, 3, 4, 5]]
    assert sorted(dendrogram.order()) == list(range(6))
    assert set(dendrogram.order()[:3]) == {1, 4, 5}


def test_ties_are_no_endless_walk() -> None:
    assert average_linkage(np.ones((7, 7))).clusters(1.0) == [list(range(7))]
    assert average_linkage(np.eye(7)).clusters(0.5) == [[unit] for unit in range(7)]


def test_a_single_unit_is_a_cluster() -> None:
    dendrogram = average_linkage(np.ones((1, 1)))
    assert (dendrogram.order(), dendrogram.clusters(0.9)) == ([0], [[0]])
