"""Means with their intervals, and verdicts on claims."""

from typing import Any

import pytest
from scipy import stats

from inceptorch.papers.studies.statistics import QUANTILES, Interval, interval, verdict


def test_quantiles_and_intervals_are_students() -> None:
    for freedom, quantile in QUANTILES.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)
    differences = [0.012, -0.003, 0.02, 0.007, 0.001]
    found = interval(differences)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert found.low == pytest.approx(low, rel=1e-3)
    assert found.high == pytest.approx(high, rel=1e-3)
    assert found.mean == pytest.approx(0.0074)


def test_between_two_entries_the_interval_is_too_wide_rather_than_too_narrow() -> None:
    values = [float(number % 7) for number in range(24)]
    found, (low, high) = interval(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.low < low
    assert high < found.high


@pytest.mark.parametrize(
    ("low", "high", "predicts", "margin", "says"),
    [
        (0.001, 0.02, "better", 0, "agrees"),
        (-0.001, 0.02, "better", 0, "cannot be told"),
        (-0.02, -0.001, "better", 0, "contradicts"),
        (-0.004, 0.02, "not worse", 0.005, "agrees"),
        (-0.006, 0.02, "not worse", 0.005, "cannot be told"),
        (-0.02, -0.006, "not worse", 0.005, "contradicts"),
        (-0.004, 0.004, "equal", 0.005, "agrees"),
        (-0.004, 0.006, "equal", 0.005, "cannot be told"),
        (0.006, 0.02, "equal", 0.005, "contradicts"),
        (-0.02, -0.006, "equal", 0.005, "contradicts"),
        (-0.02, 0.02, "equal", 0.005, "cannot be told"),
        (0.0, 0.0, "better", 0, "cannot be told"),
    ],
)
def test_a_verdict_never_says_more_than_the_interval(
    low: float, high: float, predicts: Any, margin: float, says: str
) -> None:
    assert verdict(Interval((low + high) / 2, low, high), predicts, margin) == says
