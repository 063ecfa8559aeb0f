"""Charts as SVG in the colors of the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inceptorch.evaluation.calibration import Reliability
from inceptorch.utils.html import render

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 12, 14, HEIGHT - 34
MAX_MARKS = 40  # points of a curve with a mark on each

Range = tuple[float, float]


def lines(curves: Mapping[str, Sequence[Range]], label: str, unit: str = "", max_y: float = math.inf) -> str:
    """Curves (x, y) by name, with a label for the x axis, cut at `max_y`. The first word of a name is its CSS class."""
    points = [(x, min(y, max_y)) for curve in curves.values() for x, y in curve]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    to_x = (first, last) if last > first else (first - 1, last + 1)
    x_ticks = [tick for tick in ticks(*to_x) if to_x[0] <= tick <= to_x[1]]
    if all(float(x).is_integer() for x, _ in points):
        x_ticks = [tick for tick in x_ticks if float(tick).is_integer()]
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points))
    to_y = (y_ticks[0], y_ticks[-1])
    placed = {name: [(_across(x, to_x), _up(min(y, max_y), to_y)) for x, y in curve] for name, curve in curves.items()}
    return _chart(", ".join(curves), label, x_ticks, to_x, y_ticks, to_y, unit=unit, curves=placed)


def calibration(bins: Sequence[Reliability]) -> str:
    """Accuracy against confidence: bars, and the diagonal of perfect calibration."""
    fifths, whole = [tick / 5 for tick in range(6)], (0.0, 1.0)
    largest = max(each["n"] for each in bins)
    bars = []
    for each in bins:
        half = 1.5 + 9 * math.sqrt(each["n"] / largest)
        x, y = _across(each["confidence"], whole), _up(each["right"], whole)
        tip = f"{each['n']} images, confidence {each['confidence']:.1%}, accuracy {each['right']:.1%}"
        bars.append((x - half, y, 2 * half, BOTTOM - y, tip))
    label = "confidence; bar width by number of images"
    diagonal = [(LEFT, BOTTOM), (RIGHT, TOP)]
    return _chart("accuracy against confidence", label, fifths, whole, fifths, whole, bars=bars, diagonal=diagonal)


def precision_recall(curve: Sequence[Range], point: Range | None) -> str:
    """Precision over recall as an area, and the `point` of recall and precision at the threshold."""
    fifths, whole = [tick / 5 for tick in range(6)], (0.0, 1.0)
    placed = [(_across(x, whole), _up(y, whole)) for x, y in curve if y > 0]
    if placed:  # straight down where the last object is found
        placed.append((placed[-1][0], BOTTOM))
    shape = [(LEFT, BOTTOM), *placed]
    tip = "" if point is None else f"at the threshold: recall {point[0]:.1%}, precision {point[1]:.1%}"
    dot = None if point is None else (_across(point[0], whole), _up(point[1], whole), tip)
    return _chart("precision over recall", "recall", fifths, whole, fifths, whole, shape=shape, edge=placed, dot=dot)


def over_threshold(curves: dict[str, Sequence[Range]], threshold: float) -> str:
    """Fractions by score, with a line at the threshold. The first word of a name is its CSS class."""
    fifths, whole = [tick / 5 for tick in range(6)], (0.0, 1.0)
    placed = {name: [(_across(x, whole), _up(y, whole)) for x, y in curve] for name, curve in curves.items()}
    x = _across(min(max(threshold, 0.0), 1.0), whole)
    upright = [(x, BOTTOM), (x, TOP)]
    label = f"score, with a line at {threshold:.2f}"
    title = f"{' and '.join(curves)} over the threshold"
    return _chart(title, label, fifths, whole, fifths, whole, curves=placed, diagonal=upright, max_marks=0)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` or just below it to `high` or just above it."""
    span = high - low if high > low else max(abs(high), 1.0)
    step = 10 ** math.floor(math.log10(span / about))
    step = next((step * by for by in (1, 2, 5) if span / (step * by) <= about), step * 10)
    first, last = math.floor(low / step + 1e-9), math.ceil((high if high > low else low + span) / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _across(x: float, to: Range) -> float:
    return LEFT + (x - to[0]) / (to[1] - to[0]) * (RIGHT - LEFT)


def _up(y: float, to: Range) -> float:
    return BOTTOM - (y - to[0]) / (to[1] - to[0]) * (BOTTOM - TOP)


def _chart(
    title: str, label: str, x_ticks: list[float], to_x: Range, y_ticks: list[float], to_y: Range, **parts: Any
) -> str:
    frame = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "bottom": BOTTOM, "max_marks": MAX_MARKS}
    values: dict[str, Any] = {
        "unit": "",
        "curves": {},
        "bars": [],
        "diagonal": [],
        "shape": [],
        "edge": [],
        "dot": None,
    }
    values |= {**frame, **parts}
    values["x_ticks"] = [(tick, _across(tick, to_x)) for tick in x_ticks]
    values["y_ticks"] = [(tick, _up(tick, to_y)) for tick in y_ticks]
    return render("report/templates/chart.html", title=title, label=label, **values)
