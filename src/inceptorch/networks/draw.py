"""A network's table as one SVG picture, in the manner of Figure 3 of the GoogLeNet paper (arXiv:1409.4842).

Layers stand under each other, branches side by side, auxiliary heads to the right. Every layer becomes a `Part`, parts are
put together into larger ones, and the page places the parts of the rows on one axis.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import accumulate
from unicodedata import east_asian_width

from inceptorch.networks.complexity import (
    Complexity,
    LayerCost,
    Shape,
    as_printed,
    aux_layer_costs,
    count_complexity,
    output_shape,
)
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Layer,
    Layers,
    Linear,
    Pool,
    Residual,
    SeparableConv,
    sides,
)
from inceptorch.networks.network import NetworkSpec, with_classifier

CLASSES = 1000
FIGURES = ("output", "parameters", "multiply-adds")
WORDS = (
    "3x3/2 is a 3x3 window with stride 2; V (valid): no padding; ceil: no padding, and the last window may hang over the "
    "edge. The number below is the width. A convolution ends in"
)
KINDS = {  # what the legend says, and the colour; for those who see grey, every box also says what it is
    "conv": ("convolution", "#c3dcf7"),
    "pool": ("pooling", "#f0a195"),
    "norm": ("normalisation", "#d3bdea"),
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
ENTRY = 28  # from the top of an auxiliary head's frame to where its line comes in
NARROWEST = 720  # so that the header has room
LONGEST = 32  # characters of a name; the rest shows on hovering


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
        rect = _rect(f"box {self.kind}", self.x, self.y, self.width, self.height, look)
        x, y = self.x + self.width / 2, self.y + self.height / 2
        return rect + "".join(_lines(x, y, self.texts, "middle"))


@dataclass(frozen=True)
class Path:
    """A line along `points`, with an arrow's head at its end or not."""

    points: tuple[tuple[float, float], ...]
    head: bool = False

    def at(self, x: float, y: float) -> Path:
        return replace(self, points=tuple((x + across, y + down) for across, down in self.points))

    def xml(self) -> str:
        line = f'<polyline points="{_points(self.points)}" fill="none" stroke="{INK}"/>'
        if not self.head:
            return line
        (before, _), (x, y) = self.points[-2:]
        corners = ((-7, -3.5), (-7, 3.5)) if before < x else ((-3.5, -7), (3.5, -7))
        head = ((x, y), *((x + across, y + down) for across, down in corners))
        return f'{line}<polygon points="{_points(head)}" fill="{INK}"/>'


@dataclass(frozen=True)
class Part:
    """How a layer looks. The line comes in at the top at `axis` and goes out at the bottom at `axis`."""

    width: float
    height: float
    axis: float
    marks: tuple[Box | Path, ...] = ()

    def at(self, x: float, y: float) -> tuple[Box | Path, ...]:
        return tuple(mark.at(x, y) for mark in self.marks)


@dataclass(frozen=True)
class Row:
    """One row of the table, or a run of equal ones: the same layer on the same shape."""

    names: tuple[str, ...]
    layer: Layer | None  # None: the picture that comes in, the softmax at the end
    shape: Shape  # of what comes in
    cost: LayerCost
    part: Part

    @property
    def height(self) -> float:
        return self.part.height + GAP / 2

    @property
    def labels(self) -> tuple[str, ...]:
        first, last = _short(self.names[0]), _short(self.names[-1])
        return (f"{first} to {last}", f"x {len(self.names)}") if len(self.names) > 1 else (first,)

    @property
    def figures(self) -> tuple[str, ...]:
        times = f"{len(self.names)} x " if len(self.names) > 1 else ""
        counts = (f"{times}{_rounded(count)}" if count else "" for count in (self.cost.params, self.cost.macs))
        return (as_printed(self.cost.output), *counts)

    @property
    def about(self) -> str:
        each = " each" if len(self.names) > 1 else ""
        cost = f"{self.cost.params:,} parameters and {self.cost.macs:,} multiply-adds{each}"
        return f"{', '.join(self.names)}: {as_printed(self.cost.output)}, {cost}"


@dataclass(frozen=True)
class Column:
    """Layers under each other: names, parts on one axis, figures. Positions count from the column's left edge."""

    rows: tuple[Row, ...]
    axis: float
    ends: tuple[float, ...]  # of the columns of figures, which stand flush right

    @property
    def width(self) -> float:
        return self.ends[-1]

    def row(self, row: Row, x: float, y: float) -> str:
        """One row with its top left corner at (x, y). Its line goes on to the next one unless it is the last."""
        axis, middle = x + self.axis, y + (ARROW + row.part.height) / 2
        left = axis - row.part.axis
        marks = row.part.at(left, y)
        if row is not self.rows[-1]:
            marks += (Path(((axis, y + row.part.height), (axis, y + row.height))),)
        drawn = [*_lines(x, middle, row.labels, "start"), *(mark.xml() for mark in marks)]
        drawn += (_text(x + end, middle, text, "end") for end, text in zip(self.ends, row.figures, strict=False))
        if len(row.names) > 1:
            look = f'fill="none" stroke="{INK}" stroke-dasharray="5 4" rx="6"'
            drawn.append(_rect("run", left - GAP / 2, y + 3, row.part.width + GAP, row.height - 6, look))
        return f'<g class="row"><title>{_xml(row.about)}</title>{"".join(drawn)}</g>'


@dataclass(frozen=True)
class Head:
    """An auxiliary head in a frame of its own."""

    title: str
    column: Column

    @property
    def width(self) -> float:
        return max(self.column.width, _text_width(self.title, bold=True)) + 2 * GAP

    @property
    def height(self) -> float:
        return ENTRY + BUS + sum(row.height for row in self.column.rows)

    def drawn(self, x: float, y: float, start: float) -> Iterator[str]:
        """The frame with its top left corner at (x, y); the line comes in ENTRY below it, from the body at `start`."""
        axis, entry, top = x + GAP + self.column.axis, y + ENTRY, y + ENTRY + BUS
        yield _rect(
            "frame", x, y, self.width, self.height, f'fill="{FAINT}" stroke="{INK}" stroke-opacity="0.5" rx="6"'
        )
        yield _text(x + GAP, y + THIN / 2, self.title, bold=True)
        yield f'<circle cx="{_number(start)}" cy="{_number(entry)}" r="3" fill="{INK}"/>'
        yield Path(((start, entry), (axis, entry), (axis, top))).xml()
        for row in self.column.rows:
            yield self.column.row(row, x + GAP, top)
            top += row.height


def svg(net: NetworkSpec) -> str:
    """The picture of `net` as the text of an SVG file, for the paper's own picture size and 1000 classes.

    Raises TableError, naming the row, where the table does not fit that size.
    """
    counted = count_complexity(net)
    body, heads = _body(net, counted), _heads(net, counted)
    aside = MARGIN + body.width + 2 * GAP
    width = max([MARGIN + body.width, *(aside + head.width for head in heads.values())])
    rows = [row for column in (body, *(head.column for head in heads.values())) for row in column.rows]
    drawn, y = _header(net, counted, rows, width - MARGIN)
    drawn += (_text(MARGIN + end, y, name, "end") for end, name in zip(body.ends, FIGURES, strict=True))
    axis = MARGIN + body.axis
    y, free = y + LINE, y  # where the next row begins, and where the next auxiliary head's frame may
    for number, row in enumerate(body.rows):
        head = heads.get(row.names[0]) if row.layer is not None else None
        down = row.part.height + GAP / 4 - ENTRY  # from the top of the row to that of its head's frame
        start = max(y, free - down) if head else y
        if number % 2 == 0:
            drawn.append(_rect("band", MARGIN - GAP / 2, start, body.width + GAP, row.height, f'fill="{FAINT}"'))
        drawn += (Path(((axis, y), (axis, start))).xml(), body.row(row, MARGIN, start))
        if head:
            drawn += head.drawn(aside, start + down, axis)
            free = start + down + head.height + GAP
        y = start + row.height
    return _page(net, counted, width + MARGIN, max(y, free) + MARGIN, "\n".join(drawn))


def _body(net: NetworkSpec, counted: Complexity) -> Column:
    picture = (3, counted.size, counted.size)
    rows = _rows({**net.body, **with_classifier(net.head, CLASSES)}, picture, counted.layers, net, alone=net.aux)
    first = Row(("picture",), None, picture, LayerCost("", picture, 0, 0), _leaf("input", "picture"))
    return _column((first, *rows), FIGURES, NARROWEST)


def _heads(net: NetworkSpec, counted: Complexity) -> dict[str, Head]:
    """The auxiliary heads by the rows that they stand on."""
    outputs = {row.name: row.output for row in counted.layers}
    layers = with_classifier(net.aux_head or {}, CLASSES)
    rows = {at: _rows(layers, outputs[at], aux_layer_costs(net, at, outputs[at], CLASSES), net) for at in net.aux}
    return {
        at: Head(f"auxiliary head on {_short(at)}, in training", _column(each, FIGURES[:1]))
        for at, each in rows.items()
    }


def _rows(
    layers: Layers, shape: Shape, costs: Sequence[LayerCost], net: NetworkSpec, alone: Sequence[str] = ()
) -> tuple[Row, ...]:
    """The rows with the softmax behind them. Equal rows in succession are one, but a row of `alone` stays alone."""
    rows: list[Row] = []
    for (name, layer), counted in zip(layers.items(), costs, strict=True):
        last = rows[-1] if rows else None
        if last and (last.layer, last.shape) == (layer, shape) and not {name, last.names[-1]} & set(alone):
            rows[-1] = replace(last, names=(*last.names, name))
        else:
            rows.append(Row((name,), layer, shape, counted, _part(layer, shape, net)))
        shape = counted.output
    return *rows, Row(("softmax",), None, shape, LayerCost("", shape, 0, 0), _leaf("head", "softmax"))


def _column(rows: Sequence[Row], headings: Sequence[str], narrowest: float = 0) -> Column:
    names = max(_text_width(label, bold=True) for row in rows for label in row.labels)
    left, right = max(row.part.axis for row in rows), max(row.part.width - row.part.axis for row in rows)
    texts = [(heading, *(row.figures[number] for row in rows)) for number, heading in enumerate(headings)]
    widths = [GAP + max(_text_width(text) for text in column) for column in texts]
    spare = max(0, narrowest - (names + GAP + left + right + sum(widths))) / 2
    axis = names + GAP + left + spare
    return Column(tuple(rows), axis, tuple(accumulate(widths, initial=axis + right + spare))[1:])


def _part(layer: Layer, shape: Shape, net: NetworkSpec) -> Part:
    """How `layer` looks on an input of `shape`."""
    match layer:
        case tuple():
            parts = []
            for each in layer:
                parts.append(_part(each, shape, net))
                shape = output_shape(each, shape)
            return _stack(parts)
        case Fork(branches):
            return _fork([_part(branch, shape, net) for branch in branches], output_shape(layer, shape)[0])
        case Residual(inner, scale, relu):
            total = _sum(_part(inner, shape, net), scale)
            return _stack([total, _leaf("sum", "ReLU")]) if relu else total
        case Conv(out, groups=groups, norm=norm, relu=relu):
            remarks = (f"groups {groups}" * (groups > 1), "linear" * (not relu), "bias" * bool(net.norm and not norm))
            return _leaf("conv", f"conv {_window(layer)}", _listed(out, *remarks))
        case SeparableConv(out, multiplier=multiplier):
            return _leaf("conv", f"separable {_window(layer)} x{multiplier}", f"{out}")
        case Pool(kind, count_pad=count_pad):
            return _leaf("pool", f"{kind} pool {_window(layer)}", *["counts padding"] * count_pad)
        case LRN(size):
            return _leaf("norm", "local response", f"over {size} channels")
        case GlobalAverage():
            return _leaf("average", "global average")
        case AdaptiveAverage(side):
            return _leaf("average", "average", f"to {side}x{side}")
        case Dropout(rate):
            return _leaf("head", "dropout", f"{rate:g}")
        case Linear(out, relu):
            return _leaf("head", "linear", _listed(out, "ReLU" * relu))


def _leaf(kind: str, *texts: str) -> Part:
    """One box under an arrow; only the picture that comes in has none."""
    width = max(WIDTH, *(_text_width(text, bold=number > 0) + GAP / 2 for number, text in enumerate(texts)))
    height = THIN if kind in ROUND else TALL
    arrow = (Path(((width / 2, 0), (width / 2, ARROW)), head=True),) if kind != "input" else ()
    return Part(width, ARROW + height, width / 2, (*arrow, Box(kind, 0, ARROW, width, height, texts)))


def _stack(parts: Sequence[Part]) -> Part:
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


def _fork(branches: Sequence[Part], channels: int) -> Part:
    """Side by side, ending on one level in the box that concatenates them."""
    label = f"concat, {channels} channels"
    inside = sum(branch.width for branch in branches) + GAP * (len(branches) - 1)
    width = max(inside, _text_width(label) + GAP)
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


def _sum(branch: Part, scale: float) -> Part:
    """The branch, and a line past its left side to the node that adds both."""
    label = "+" if scale == 1 else f"+ x{scale:g}"
    half = max(WIDTH, _text_width(label) + 2 * GAP) / 2
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


def _header(net: NetworkSpec, counted: Complexity, rows: Sequence[Row], right: float) -> tuple[list[str], float]:
    """Title, totals, what the short words mean and the legend, up to `right`; and the height at which to go on."""
    aux = f" ({counted.params_with_aux:,} with the auxiliary heads, which only training has)" if net.aux else ""
    norm = 'batch normalisation ("bias": a bias instead)' if net.norm else "a bias"
    runs = " A dashed frame is a run of equal rows." if any(len(row.names) > 1 for row in rows) else ""
    drawn, y = [], MARGIN + TITLE / 2
    for text, size in (
        (f"{net.name}: {net.title}", TITLE),
        (f"{net.source}. {counted.size}x{counted.size} pixels, {CLASSES} classes.", FONT),
        (f"{counted.params:,} parameters{aux}, {counted.macs:,} multiply-adds.", FONT),
        (f'{WORDS} {norm} and ReLU ("linear": none).{runs}', FONT),
    ):
        for line in _wrapped(text, right - MARGIN, size):
            drawn.append(_text(MARGIN, y, line, bold=size == TITLE, size=size))
            y += size + LINE - FONT
        y += LINE / 3
    x, kinds = float(MARGIN), {mark.kind for row in rows for mark in row.part.marks if isinstance(mark, Box)}
    for kind in (kind for kind in KINDS if kind in kinds and kind != "input"):
        label, colour = KINDS[kind]
        if x + 2 * GAP + _text_width(label) > right:
            x, y = MARGIN, y + 1.5 * LINE
        drawn += (_rect("key", x, y - 6, 18, 12, f'fill="{colour}" stroke="{INK}" rx="2"'), _text(x + 24, y, label))
        x += 3 * GAP + _text_width(label)
    return drawn, y + 2 * LINE


def _page(net: NetworkSpec, counted: Complexity, width: float, height: float, drawn: str) -> str:
    rows = "; ".join(f"{row.name} {as_printed(row.output)}" for row in counted.layers)
    about = f"{net.source}. Layers from top to bottom, with what each gives as height x width x channels: {rows}."
    across, down = _number(width), _number(height)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" viewBox="0 0 {across} {down}" \
role="img" font-family="Helvetica, Arial, sans-serif" fill="{INK}">
<title>{_xml(f"{net.name}: {net.title}")}</title>
<desc>{_xml(about)}</desc>
<rect width="{across}" height="{down}" fill="#ffffff"/>
{drawn}
</svg>
"""


def _window(layer: Conv | SeparableConv | Pool) -> str:
    height, width = sides(layer.kernel)
    stride = f"/{layer.stride}" if layer.stride > 1 else ""
    return f"{height}x{width}{stride}" + {"same": "", "valid": " V", "ceil": " ceil"}[layer.pad]


def _listed(out: int, *remarks: str) -> str:
    return ", ".join([str(out), *filter(None, remarks)])


def _rounded(count: int) -> str:
    """Three digits of a count: 118 M."""
    for unit, name in ((10**9, " G"), (10**6, " M"), (10**3, " K")):
        if count >= 0.9995 * unit:
            return f"{count / unit:#.3g}".rstrip(".") + name
    return str(count)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _text_width(text: str, bold: bool = False, size: float = FONT) -> float:
    """An upper estimate, for fonts as wide as DejaVu Sans."""
    ems = (
        1.0 if east_asian_width(sign) in "WF" or sign in "mwMW@%&—…" else 0.75 if sign.isupper() else 0.6
        for sign in text
    )
    return size * sum(ems) * (1.1 if bold else 1)


def _wrapped(text: str, room: float, size: float) -> list[str]:
    """The lines of a text, none of them wider than `room` pixels."""
    characters = len(text)
    while True:
        lines = textwrap.wrap(text, characters)
        if characters == 1 or all(_text_width(line, size == TITLE, size) <= room for line in lines):
            return lines
        characters = max(1, characters * 19 // 20)


def _lines(x: float, y: float, texts: Sequence[str], anchor: str) -> Iterator[str]:
    """Lines about the height y. The second is what one compares: a width, how often a row stands in a run."""
    first = y - (len(texts) - 1) * LINE / 2
    for number, text in enumerate(texts):
        yield _text(x, first + LINE * number, text, anchor, bold=number > 0)


def _text(x: float, y: float, text: str, anchor: str = "start", bold: bool = False, size: float = FONT) -> str:
    """Text whose middle is at the height y."""
    place = f'x="{_number(x)}" y="{_number(y + 0.35 * size)}"'
    weight = ' font-weight="bold"' if bold else ""
    return f'<text {place} font-size="{size:g}" text-anchor="{anchor}"{weight}>{_xml(text)}</text>' if text else ""


def _rect(name: str, x: float, y: float, width: float, height: float, look: str) -> str:
    size = f'width="{_number(width)}" height="{_number(height)}"'
    return f'<rect class="{name}" x="{_number(x)}" y="{_number(y)}" {size} {look}/>'


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _xml(text: str) -> str:
    """Escaped, and without the characters that XML cannot hold."""
    return escape(re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))
