"""Charts."""

from __future__ import annotations

import re

import pytest

from inceptorch.report.charts import lines, over_threshold, precision_recall, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 2.3, [0, 0.5, 1, 1.5, 2, 2.5]), (1, 1, [1, 1.2, 1.4, 1.6, 1.8, 2])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_one_bad_epoch_does_not_flatten_the_curve() -> None:
    curve = [(1.0, 2.0), (2.0, 900.0), (3.0, 1.0)]
    svg = lines({"training": curve}, "epoch", max_y=4.0)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert heights[1] < heights[0] < heights[2]
    assert heights[2] - heights[0] > 50
    assert 'cx="46.0"' in svg  # the axis begins at the first epoch


def test_the_curve_of_a_class_ends_at_its_highest_recall() -> None:
    svg = precision_recall([(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)], (0.5, 0.25))
    (edge,) = re.findall(r'<polyline class="line" points="([^"]+)"', svg)
    assert edge == "46.0,14.0 227.0,115.0 227.0,216.0"
    assert 'cx="227.0" cy="165.5"' in svg
    assert "at the threshold: recall 50.0%, precision 25.0%" in svg
    assert "<circle" not in precision_recall([(0.0, 0.0), (1.0, 0.0)], None)


def test_a_line_stands_at_the_threshold() -> None:
    svg = over_threshold({"precision": [(0.0, 0.5), (1.0, 1.0)]}, 0.5)
    assert '<polyline class="diagonal" points="227.0,216.0 227.0,14.0"/>' in svg
    assert "with a line at 0.50" in svg
    assert "<circle" not in svg
