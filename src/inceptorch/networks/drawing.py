"""Boxes, lines and text as SVG, from which drawings of layers are made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from unicodedata import east_asian_width

KINDS = {  # what the legend says, and the color; for those who see gray, every box also says what it is
    "conv": ("convolution", "#c3dcf7"),
    "pool": ("pooling", "#f0a195"),
    "norm": ("normalization", "#d3bdea"),
    "concat": ("concatenation", "#a6d59b"),
    "average": ("average", "#f7c998"),
    "head": ("dropout, linear, softmax", "#ffe58f"),
    "sum": ("residual sum, ReLU", "#ececec"),
    "input": ("", "#ffffff"),
}
ROUND = ("sum", "input")
INK, FAINT = "#1a1a1a", "#f4f5f7"
# All in pixels.
TITLE, FONT, LINE = 17, 12, 15  # sizes of text, and from one line of it to the next
WIDTH, TALL, THIN = 104, 40, 24  # of a box with little to say; heights of layers, and of what joins them
ARROW, BUS, SKIP = 16, 10, 20  # above every box; from a fork's entry to where it divides; beside a residual module
GAP, MARGIN = 16, 24


@dataclass(frozen=True)
class Box:
    kind: str
    x: float
    y: float
    width: float
    height: float
    texts: tuple[str, ...]

    def at(self, x: float, y: float) -> Box:
        return replace(self, x=self.x + x, y=self.y + y)

    def xml(self) -> str:
        corner = THIN // 2 if self.kind in ROUND else 3
        look = f'fill="{KINDS[self.kind][1]}" stroke="{INK}" rx="{corner}"'
        rect = rect_at(f"box {self.kind}", self.x, self.y, self.width, self.height, look)
        x, y = self.x + self.width / 2, self.y + self.height / 2
        return rect + "".join(text_lines(x, y, self.texts, "middle"))


@dataclass(frozen=True)
class Path:
    """A line along `points`, with an arrow's head at its end or not."""

    points: tuple[tuple[float, float], ...]
    head: bool = False

    def at(self, x: float, y: float) -> Path:
        return replace(self, points=tuple((x + across, y + down) for across, down in self.points))

    def xml(self) -> str:
        line = f'<polyline points="{coordinates(self.points)}" fill="none" stroke="{INK}"/>'
        if not self.head:
            return line
        (before, _), (x, y) = self.points[-2:]
        back = -7.0 if before < x else 7.0
        corners = ((-3.5, -7.0), (3.5, -7.0)) if before == x else ((back, -3.5), (back, 3.5))
        head = ((x, y), *((x + across, y + down) for across, down in corners))
        return f'{line}<polygon points="{coordinates(head)}" fill="{INK}"/>'


@dataclass(frozen=True)
class Part:
    """The drawing of a layer. The line comes in at the top at `axis` and goes out at the bottom at `axis`."""

    width: float
    height: float
    axis: float
    marks: tuple[Box | Path, ...] = ()

    def at(self, x: float, y: float) -> tuple[Box | Path, ...]:
        return tuple(mark.at(x, y) for mark in self.marks)


def leaf(kind: str, *texts: str) -> Part:
    """One box under an arrow; only the image that comes in has none."""
    width = max(WIDTH, *(text_width(text, bold=number > 0) + GAP / 2 for number, text in enumerate(texts)))
    height = THIN if kind in ROUND else TALL
    arrow = (Path(((width / 2, 0), (width / 2, ARROW)), head=True),) if kind != "input" else ()
    return Part(width, ARROW + height, width / 2, (*arrow, Box(kind, 0, ARROW, width, height, texts)))


def stack(parts: Sequence[Part]) -> Part:
    """In sequence, on one axis; of nothing, a bare line."""
    if not parts:
        return Part(2 * GAP, THIN, GAP, (Path(((GAP, 0), (GAP, THIN))),))
    axis, right = max(part.axis for part in parts), max(part.width - part.axis for part in parts)
    marks: list[Box | Path] = []
    y = 0.0
    for part in parts:
        marks += part.at(axis - part.axis, y)
        y += part.height
    return Part(axis + right, y, axis, tuple(marks))


def side_by_side(branches: Sequence[Part], label: str) -> Part:
    """Side by side, ending on one level in the box that concatenates them."""
    inside = sum(branch.width for branch in branches) + GAP * (len(branches) - 1)
    width = max(inside, text_width(label) + GAP)
    level = BUS + max(branch.height for branch in branches)
    x, axis = (width - inside) / 2, width / 2
    middles = [axis]
    marks: list[Box | Path] = [Box("concat", 0, level + ARROW, width, THIN, (label,))]
    for branch in branches:
        middle, start = x + branch.axis, level - branch.height
        middles.append(middle)
        marks += (Path(((middle, BUS), (middle, start))), *branch.at(x, start))
        marks.append(Path(((middle, level), (middle, level + ARROW)), head=True))
        x += branch.width + GAP
    marks += (Path(((axis, 0), (axis, BUS))), Path(((min(middles), BUS), (max(middles), BUS))))
    return Part(width, level + ARROW + THIN, axis, tuple(marks))


def sum_of(branch: Part, label: str) -> Part:
    """The branch, and a line past its left side to the node that adds both."""
    half = max(WIDTH, text_width(label) + 2 * GAP) / 2
    axis = SKIP + max(branch.axis, half)
    end = BUS + branch.height
    middle = end + ARROW + THIN / 2
    marks = (
        Path(((axis, 0), (axis, BUS))),
        *branch.at(axis - branch.axis, BUS),
        Path(((axis, end), (axis, end + ARROW)), head=True),
        Path(((axis, BUS), (SKIP / 2, BUS), (SKIP / 2, middle), (axis - half, middle)), head=True),
        Box("sum", axis - half, end + ARROW, 2 * half, THIN, (label,)),
    )
    return Part(axis + max(branch.width - branch.axis, half), end + ARROW + THIN, axis, marks)


def listed(out: int, *remarks: str) -> str:
    return ", ".join([str(out), *filter(None, remarks)])


def text_width(text: str, bold: bool = False, size: float = FONT) -> float:
    """An upper estimate, for fonts as wide as DejaVu Sans."""
    ems = (
        1.0 if east_asian_width(sign) in "WF" or sign in "mwMW@%&—…" else 0.75 if sign.isupper() else 0.6
        for sign in text
    )
    return size * sum(ems) * (1.1 if bold else 1)


def text_lines(x: float, y: float, texts: Sequence[str], anchor: str) -> Iterator[str]:
    """Lines about the height y. The second is what one compares: a width, how often a row stands in a run."""
    first = y - (len(texts) - 1) * LINE / 2
    for number, text in enumerate(texts):
        yield text_at(x, first + LINE * number, text, anchor, bold=number > 0)


def text_at(x: float, y: float, text: str, anchor: str = "start", bold: bool = False, size: float = FONT) -> str:
    """Text whose middle is at the height y."""
    place = f'x="{decimal(x)}" y="{decimal(y + 0.35 * size)}"'
    weight = ' font-weight="bold"' if bold else ""
    return f'<text {place} font-size="{size:g}" text-anchor="{anchor}"{weight}>{escaped(text)}</text>' if text else ""


def rect_at(name: str, x: float, y: float, width: float, height: float, look: str) -> str:
    size = f'width="{decimal(width)}" height="{decimal(height)}"'
    return f'<rect class="{name}" x="{decimal(x)}" y="{decimal(y)}" {size} {look}/>'


def coordinates(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{decimal(x)},{decimal(y)}" for x, y in points)


def decimal(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def escaped(text: str) -> str:
    """Escaped, and without the characters that XML cannot hold."""
    return escape(re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))
