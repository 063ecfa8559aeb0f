import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg

from inceptorch.features.frechet import Side, around, frechet_distance, resampled_sums
from inceptorch.features.statistics import Statistics
from tests.features.helpers import correlated, side_of


def by_sqrtm(one: Statistics, two: Statistics) -> float:
    """The distance as the packages compute it."""
    difference = one.mu - two.mu
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the product is singular
        root = linalg.sqrtm(one.sigma @ two.sigma)
    return float(difference @ difference + np.trace(one.sigma + two.sigma) - 2 * np.trace(root).real)


@pytest.mark.parametrize(("n", "m"), [(20, 24), (20, 90), (90, 20), (90, 80), (48, 48)])
@pytest.mark.parametrize("alone", ["neither", "one", "two", "both"])
def test_the_distance_is_that_of_the_root_of_the_product(n: int, m: int, alone: str) -> None:
    one = side_of(correlated(n, 48, 1, shift=0.2), alone in ("one", "both"))
    two = side_of(correlated(m, 48, 2), alone in ("two", "both"))
    assert frechet_distance(one, two).value == pytest.approx(by_sqrtm(one.statistics, two.statistics), rel=1e-6)


def test_of_few_images_the_trace_is_the_nuclear_norm() -> None:
    x, y = correlated(12, 48, 1).astype(float), correlated(15, 48, 2).astype(float)
    one, two = side_of(x), side_of(y)
    x, y = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.svd(x @ y.T / np.sqrt(11 * 14), compute_uv=False).sum()
    difference = one.statistics.mu - two.statistics.mu
    expected = difference @ difference + (x**2).sum() / 11 + (y**2).sum() / 14 - 2 * norm
    assert frechet_distance(one, two).value == pytest.approx(expected, rel=1e-9)


def test_a_set_has_no_distance_from_itself() -> None:
    side = side_of(correlated(100, 32, 1))
    assert abs(frechet_distance(side, side).value) < 1e-8 * np.trace(side.statistics.sigma)


@pytest.mark.parametrize("n", [10, 60])
def test_images_that_are_all_the_same_have_the_distance_of_their_means(n: int) -> None:
    one, two = side_of(np.ones((n, 32), np.float32)), side_of(np.full((n, 32), 3, np.float32))
    assert frechet_distance(one, two).value == pytest.approx(4 * 32)
    assert frechet_distance(one, one).value == pytest.approx(0)


@pytest.mark.parametrize(("n", "m"), [(150, 200), (30, 40), (30, 200)])
def test_the_interval_is_as_wide_as_distances_of_other_samples_scatter(n: int, m: int) -> None:
    values, widths = [], []
    for seed in range(40):
        found = frechet_distance(
            side_of(correlated(n, 48, 2 * seed + 1, shift=0.5)), side_of(correlated(m, 48, 2 * seed))
        )
        assert found.interval is not None
        values.append(found.value)
        widths.append(found.interval[1] - found.interval[0])
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.35)


def test_statistics_alone_are_not_resampled() -> None:
    x, y = correlated(90, 16, 1), correlated(90, 16, 2)
    both = frechet_distance(side_of(x, alone=True), side_of(y, alone=True))
    assert both.interval is None
    one, neither = frechet_distance(side_of(x), side_of(y, alone=True)), frechet_distance(side_of(x), side_of(y))

    def width(interval: tuple[float, float] | None) -> float:
        assert interval is not None
        return interval[1] - interval[0]

    assert width(one.interval) < width(neither.interval)


def test_statistics_of_others_in_float32_are_taken() -> None:
    x = side_of(correlated(90, 16, 1))
    single = Statistics(x.statistics.mu.astype(np.float32), x.statistics.sigma, None, {})
    assert frechet_distance(x, Side(single)).value == pytest.approx(0, abs=1e-6)


def test_resampled_sums_scatter_as_the_root_of_n() -> None:
    parts: NDArray[np.float64] = np.random.default_rng(0).normal(3, 2, 400)
    found = resampled_sums(parts, np.random.default_rng(0))
    assert abs(found.mean()) < 5
    assert found.std() == pytest.approx(2 * np.sqrt(400), rel=0.15)
    low, high = around(10.0, found)
    assert low < 10 < high
