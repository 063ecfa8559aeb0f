"""Charts as SVG in the colors of the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from inceptorch.evaluation.calibration import Reliability

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 34
MAX_MARKS = 40  # points of a curve with a mark on each


Range = tuple[float, float]


def lines(curves: dict[str, Sequence[tuple[float, float]]], label: str, unit: str = "", max_y: float = math.inf) -> str:
    """Curves (x, y) by name, with a label for the x axis, cut at `max_y`. The first word of a name is its CSS class."""
    points = [(x, min(y, max_y)) for curve in curves.values() for x, y in curve]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    to_x = (first, last) if last > first else (first - 1, last + 1)
    x_ticks = [tick for tick in ticks(*to_x) if to_x[0] <= tick <= to_x[1]]
    if all(float(x).is_integer() for x, _ in points):
        x_ticks = [tick for tick in x_ticks if float(tick).is_integer()]
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points))
    to_y = (y_ticks[0], y_ticks[-1])
    parts, legend = [_frame(x_ticks, y_ticks, to_x, to_y, label, unit)], []
    for name, curve in curves.items():
        kind = name.split()[0]
        at = [(_across(x, to_x), _up(min(y, max_y), to_y)) for x, y in curve]
        parts.append(f'<polyline class="line {kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in at)}"/>')
        if len(at) <= MAX_MARKS:
            parts += [f'<circle class="mark {kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in at]
        legend.append(f'<span class="key {kind}">{escape(name)}</span>')
    return _svg("".join(parts), ", ".join(curves)) + f'<p class="legend">{" ".join(legend)}</p>'


def calibration(bins: Sequence[Reliability]) -> str:
    """Accuracy against confidence: bars, and the diagonal of perfect calibration."""
    at = [tick / 5 for tick in range(6)]
    parts = [_frame(at, at, (0, 1), (0, 1), "confidence; bar width by number of images", "")]
    most = max(one["n"] for one in bins)
    for one in bins:
        half = 1.5 + 9 * math.sqrt(one["n"] / most)
        x, y = _across(one["confidence"], (0, 1)), _up(one["right"], (0, 1))
        tip = f"{one['n']} images, confidence {one['confidence']:.1%}, right {one['right']:.1%}"
        parts.append(
            f'<rect class="bar" x="{x - half:.1f}" y="{y:.1f}" width="{2 * half:.1f}" '
            f'height="{_up(0, (0, 1)) - y:.1f}"><title>{tip}</title></rect>'
        )
    ends = [(_across(v, (0, 1)), _up(v, (0, 1))) for v in (0.0, 1.0)]
    parts.append(f'<polyline class="diagonal" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in ends)}"/>')
    return _svg("".join(parts), "accuracy against confidence")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` or just below it to `high` or just above it."""
    span = high - low if high > low else max(abs(high), 1.0)
    step = 10 ** math.floor(math.log10(span / about))
    step = next((step * by for by in (1, 2, 5) if span / (step * by) <= about), step * 10)
    first, last = math.floor(low / step + 1e-9), math.ceil((high if high > low else low + span) / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _across(x: float, to: Range) -> float:
    return LEFT + (x - to[0]) / (to[1] - to[0]) * (WIDTH - LEFT - RIGHT)


def _up(y: float, to: Range) -> float:
    return HEIGHT - BOTTOM - (y - to[0]) / (to[1] - to[0]) * (HEIGHT - TOP - BOTTOM)


def _frame(x_ticks: Sequence[float], y_ticks: Sequence[float], to_x: Range, to_y: Range, label: str, unit: str) -> str:
    parts = []
    for tick in y_ticks:
        y = _up(tick, to_y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{unit}</text>')
    for tick in x_ticks:
        parts.append(
            f'<text x="{_across(tick, to_x):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{tick:g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)


def _svg(inside: str, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{inside}</svg>'
