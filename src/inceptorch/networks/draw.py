"""A network's table as one SVG image, in the manner of Figure 3 of the GoogLeNet paper (arXiv:1409.4842).

Layers stand under each other, branches side by side, auxiliary heads to the right. A detector has its feature pyramid
there, which its head stands on. Every layer becomes a `Part`, parts are put together into larger ones, and the page
places the parts of the rows on one axis.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from inceptorch.networks.complexity import Complexity, LayerCost, aux_layer_costs, count_complexity
from inceptorch.networks.detection import EDGES, GROUPS, DetectionHead
from inceptorch.networks.drawing import (
    ARROW,
    BUS,
    FAINT,
    FONT,
    GAP,
    INK,
    KINDS,
    LINE,
    MARGIN,
    THIN,
    TITLE,
    Box,
    Part,
    Path,
    decimal,
    escaped,
    leaf,
    listed,
    rect_at,
    side_by_side,
    stack,
    text_at,
    text_lines,
    text_width,
)
from inceptorch.networks.layers import Layer, Layers, Shape, as_layer, as_printed
from inceptorch.networks.network import NetworkSpec, with_classifier

CLASSES = 1000
FIGURES = ("output", "parameters", "multiply-adds")
WORDS = (
    "3x3/2 is a 3x3 window with stride 2; V (valid): no padding; ceil: no padding, and the last window may hang over "
    "the edge. The number below is the width. A convolution ends in"
)
LANES = 48  # pixels beside a detector's pyramid for the lines to its head
ENTRY = 28  # from the top of an auxiliary head's frame to where its line comes in
NARROWEST = 720  # so that the header has room
LONGEST = 32  # characters of a name; the rest shows on hovering


@dataclass(frozen=True)
class Row:
    """One row of the table, or a run of equal ones: the same layer on the same shape."""

    names: tuple[str, ...]
    layer: Layer | None  # None: the image that comes in, the softmax at the end
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
        drawn = [*text_lines(x, middle, row.labels, "start"), *(mark.xml() for mark in marks)]
        drawn += (text_at(x + end, middle, text, "end") for end, text in zip(self.ends, row.figures, strict=False))
        if len(row.names) > 1:
            look = f'fill="none" stroke="{INK}" stroke-dasharray="5 4" rx="6"'
            drawn.append(rect_at("run", left - GAP / 2, y + 3, row.part.width + GAP, row.height - 6, look))
        return f'<g class="row"><title>{escaped(row.about)}</title>{"".join(drawn)}</g>'


@dataclass(frozen=True)
class Head:
    """An auxiliary head, or a part of a detector, in a frame of its own."""

    title: str
    column: Column

    @property
    def width(self) -> float:
        return max(self.column.width, text_width(self.title, bold=True)) + 2 * GAP

    @property
    def height(self) -> float:
        return ENTRY + BUS + sum(row.height for row in self.column.rows)

    def drawn(self, x: float, y: float, start: float) -> Iterator[str]:
        """The frame with its top left corner at (x, y); the line comes in ENTRY below it, from the body at `start`."""
        axis, entry, top = x + GAP + self.column.axis, y + ENTRY, y + ENTRY + BUS
        yield rect_at(
            "frame", x, y, self.width, self.height, f'fill="{FAINT}" stroke="{INK}" stroke-opacity="0.5" rx="6"'
        )
        yield text_at(x + GAP, y + THIN / 2, self.title, bold=True)
        yield f'<circle cx="{decimal(start)}" cy="{decimal(entry)}" r="3" fill="{INK}"/>'
        yield Path(((start, entry), (axis, entry), (axis, top))).xml()
        for row in self.column.rows:
            yield self.column.row(row, x + GAP, top)
            top += row.height


def svg(net: NetworkSpec) -> str:
    """The image of `net` as the text of an SVG file, for the paper's own image size and 1000 classes.

    Raises TableError, naming the row, where the table does not fit that size.
    """
    counted = count_complexity(net)
    body, heads = _body(net, counted), _heads(net, counted)
    width = max([MARGIN + body.width, *(_aside(body) + head.width for head in heads.values())])
    aux = f" ({counted.params_with_aux:,} with the auxiliary heads, which only training has)" if net.aux else ""
    images = f"{counted.size}x{counted.size} pixels, {CLASSES} classes"
    rows = [row for column in (body, *(head.column for head in heads.values())) for row in column.rows]
    drawn, y = _header(net, counted, images, aux, rows, width - MARGIN)
    more, _, bottom = _placed(body, heads, y)
    return _page(net, counted, width + MARGIN, bottom + MARGIN, "\n".join(drawn + more))


def detector_svg(net: NetworkSpec, detection: DetectionHead, num_classes: int) -> str:
    """The image of a detector: the body, the pyramid on its levels, and the head that they share. Raises TableError."""
    costs = detection.costs(net, num_classes)
    counted = Complexity(net.name, net.source, detection.width, costs, sum(cost.params for cost in costs))
    image = (3, detection.height, detection.width)
    layers = detection.body(net).body
    body_rows = _rows(layers, image, costs[: len(layers)], net, alone=detection.levels)
    body = _column((_image(image), *body_rows), FIGURES, NARROWEST)
    frames, head = _pyramid(net, detection, costs), _shared_head(net, detection, costs)
    edge = _aside(body) + max(frame.width for frame in frames.values())  # of the pyramid, to the right
    width = edge + LANES + head.width
    rows = [row for column in (body, *(each.column for each in (*frames.values(), head))) for row in column.rows]
    images = f"As a detector on {detection.width}x{detection.height} pixels, {num_classes} classes"
    drawn, y = _header(net, counted, images, "", rows, width - MARGIN)
    more, tops, bottom = _placed(body, frames, y)
    entry = tops[detection.levels[0]]
    drawn += [*more, *_lanes(detection.levels, frames, tops, _aside(body), edge, entry + ENTRY)]
    drawn += head.drawn(edge + LANES, entry, edge + 2 * LANES / 3)
    return _page(net, counted, width + MARGIN, max(bottom, entry + head.height) + MARGIN, "\n".join(drawn))


def compared_svg(title: str, layers: Mapping[str, tuple[Layer, Shape]]) -> str:
    """An image of a few layers side by side, by their captions, each on an input of its own shape; no whole network."""
    drawn, x, bottom = list[str](), float(MARGIN), 0.0
    for caption, (layer, shape) in layers.items():
        whole, part = as_layer(layer), as_layer(layer).draw(shape, None)
        _, macs = whole.count(shape, None)
        texts = (
            caption,
            f"{as_printed(shape)} to {as_printed(whole.output_shape(shape))}",
            f"{_rounded(macs)} multiply-adds",
        )
        width = max(part.width, *(text_width(text, bold=text is caption) for text in texts))
        lines = (text_at(x + width / 2, MARGIN + LINE * n, text, "middle", n == 0) for n, text in enumerate(texts))
        top = MARGIN + LINE * len(texts)
        drawn += [*lines, *(mark.xml() for mark in part.at(x + (width - part.width) / 2, top))]
        x, bottom = x + width + 2 * MARGIN, max(bottom, top + part.height)
    across, down = decimal(x - MARGIN), decimal(bottom + MARGIN)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" viewBox="0 0 {across} {down}" \
role="img" font-family="Helvetica, Arial, sans-serif" fill="{INK}">
<title>{escaped(title)}</title>
<rect width="{across}" height="{down}" fill="#ffffff"/>
{chr(10).join(drawn)}
</svg>
"""


def _aside(body: Column) -> float:
    """Where the frames beside the body begin."""
    return MARGIN + body.width + 2 * GAP


def _placed(body: Column, heads: Mapping[str, Head], y: float) -> tuple[list[str], dict[str, float], float]:
    """The body from `y` on with the heads beside the rows that they stand on; the tops of their frames by these rows;
    and where all of it ends."""
    drawn = [text_at(MARGIN + end, y, name, "end") for end, name in zip(body.ends, FIGURES, strict=True)]
    axis, aside, tops = MARGIN + body.axis, _aside(body), dict[str, float]()
    y, free = y + LINE, y  # where the next row begins, and where the next frame may
    for number, row in enumerate(body.rows):
        head = heads.get(row.names[0]) if row.layer is not None else None
        down = row.part.height + GAP / 4 - ENTRY  # from the top of the row to that of its head's frame
        start = max(y, free - down) if head else y
        if number % 2 == 0:
            drawn.append(rect_at("band", MARGIN - GAP / 2, start, body.width + GAP, row.height, f'fill="{FAINT}"'))
        drawn += (Path(((axis, y), (axis, start))).xml(), body.row(row, MARGIN, start))
        if head:
            tops[row.names[0]] = start + down
            if row is body.rows[-1]:  # whose line does not go on
                drawn.append(Path(((axis, start + row.part.height), (axis, start + down + ENTRY))).xml())
            drawn += head.drawn(aside, start + down, axis)
            free = start + down + head.height + GAP
        y = start + row.height
    return drawn, tops, max(y, free)


def _body(net: NetworkSpec, counted: Complexity) -> Column:
    image = (3, counted.size, counted.size)
    rows = _rows({**net.body, **with_classifier(net.head, CLASSES)}, image, counted.layers, net, alone=net.aux)
    return _column((_image(image), *rows, _softmax(rows[-1].cost.output)), FIGURES, NARROWEST)


def _image(shape: Shape) -> Row:
    return Row(("image",), None, shape, LayerCost("", shape, 0, 0), leaf("input", "image"))


def _softmax(shape: Shape) -> Row:
    return Row(("softmax",), None, shape, LayerCost("", shape, 0, 0), leaf("head", "softmax"))


def _pyramid(net: NetworkSpec, detection: DetectionHead, costs: Sequence[LayerCost]) -> dict[str, Head]:
    """The pyramid's layers by the level that they stand on."""
    by_name, frames = {cost.name: cost for cost in costs}, {}
    for level in detection.levels:
        lateral, pyramid = by_name[f"lateral {level}"], by_name[f"pyramid {level}"]
        parts = [_linear_conv(net, "conv 1x1", detection.channels)]
        if level != detection.levels[-1]:
            parts.append(leaf("sum", "+ enlarged"))
        rows = (
            Row((lateral.name,), None, lateral.output, lateral, stack(parts)),
            Row((pyramid.name,), None, lateral.output, pyramid, _linear_conv(net, "conv 3x3", detection.channels)),
        )
        frames[level] = Head(f"feature pyramid on {_short(level)}", _column(rows, FIGURES))
    return frames


def _shared_head(net: NetworkSpec, detection: DetectionHead, costs: Sequence[LayerCost]) -> Head:
    """The head, with the costs of all its layers on all levels."""
    own = [cost for cost in costs[-5:] if not cost.name.startswith(("lateral", "pyramid"))]
    conv = _linear_conv(net, "conv 3x3", detection.channels)
    tower = detection.depth * (conv, leaf("norm", "group norm, ReLU", f"{GROUPS} channels"))
    last = {cost.name: _linear_conv(net, f"{cost.name}, 3x3", cost.output[0]) for cost in own[-3:]}
    about_box = stack((*tower, side_by_side((last["edges"], last["centerness"]), f"{EDGES + 1}")))
    outputs = own[-3].output[0] + EDGES + 1
    part = side_by_side((stack((*tower, last["classes"])), about_box), f"{outputs} for every place")
    shape = (outputs, *own[-1].output[1:])
    cost = LayerCost("head", shape, sum(cost.params for cost in own), sum(cost.macs for cost in own))
    return Head("head, shared by the levels", _column((Row(("head",), None, shape, cost, part),), FIGURES))


def _linear_conv(net: NetworkSpec, name: str, out: int) -> Part:
    """A convolution with a bias that nothing follows."""
    return leaf("conv", name, listed(out, "linear", "bias" if net.norm else ""))


def _lanes(
    levels: Sequence[str], frames: Mapping[str, Head], tops: Mapping[str, float], left: float, edge: float, entry: float
) -> Iterator[str]:
    """Lines to the right of the pyramid: from the sum of each level to that of the finer one, and from all to where the
    head begins, at `entry`."""
    inner, outer = edge + LANES / 3, edge + 2 * LANES / 3
    ends, target = list[float](), (0.0, 0.0)  # the right side of the finer level's sum
    for number, level in enumerate(levels):
        column, y = frames[level].column, tops[level] + ENTRY + BUS
        axis, (first, second) = left + GAP + column.axis, column.rows
        merged, end = y + first.height - GAP / 4, y + first.height + second.height - GAP / 4
        yield Path(((axis, end - GAP / 4), (axis, end), (outer, end))).xml()
        ends.append(end)
        if number:
            yield Path(((axis, merged), (inner, merged), (inner, target[1]), target), head=True).xml()
        last = first.part.marks[-1]
        assert isinstance(last, Box)
        target = axis - first.part.axis + last.x + last.width, y + last.y + last.height / 2
    yield Path(((outer, min(entry, *ends)), (outer, max(entry, *ends)))).xml()


def _heads(net: NetworkSpec, counted: Complexity) -> dict[str, Head]:
    """The auxiliary heads by the rows that they stand on."""
    outputs = {row.name: row.output for row in counted.layers}
    layers = with_classifier(net.aux_head or {}, CLASSES)
    rows = {at: _rows(layers, outputs[at], aux_layer_costs(net, at, outputs[at], CLASSES), net) for at in net.aux}
    rows = {at: (*each, _softmax(each[-1].cost.output)) for at, each in rows.items()}
    return {
        at: Head(f"auxiliary head on {_short(at)}, in training", _column(each, FIGURES[:1]))
        for at, each in rows.items()
    }


def _rows(
    layers: Layers, shape: Shape, costs: Sequence[LayerCost], net: NetworkSpec, alone: Sequence[str] = ()
) -> tuple[Row, ...]:
    """Equal rows in succession are one, but a row of `alone` stays alone."""
    rows: list[Row] = []
    for (name, layer), counted in zip(layers.items(), costs, strict=True):
        last = rows[-1] if rows else None
        if last and (last.layer, last.shape) == (layer, shape) and not {name, last.names[-1]} & set(alone):
            rows[-1] = replace(last, names=(*last.names, name))
        else:
            rows.append(Row((name,), layer, shape, counted, as_layer(layer).draw(shape, net.norm)))
        shape = counted.output
    return tuple(rows)


def _column(rows: Sequence[Row], headings: Sequence[str], narrowest: float = 0) -> Column:
    names = max(text_width(label, bold=True) for row in rows for label in row.labels)
    left, right = max(row.part.axis for row in rows), max(row.part.width - row.part.axis for row in rows)
    texts = [(heading, *(row.figures[number] for row in rows)) for number, heading in enumerate(headings)]
    widths = [GAP + max(text_width(text) for text in column) for column in texts]
    spare = max(0, narrowest - (names + GAP + left + right + sum(widths))) / 2
    axis = names + GAP + left + spare
    return Column(tuple(rows), axis, tuple(accumulate(widths, initial=axis + right + spare))[1:])


def _header(
    net: NetworkSpec, counted: Complexity, images: str, aux: str, rows: Sequence[Row], right: float
) -> tuple[list[str], float]:
    """Title, totals, what the short words mean and the legend, up to `right`; and the height at which to go on."""
    norm = 'batch normalization ("bias": a bias instead)' if net.norm else "a bias"
    runs = " A dashed frame is a run of equal rows." if any(len(row.names) > 1 for row in rows) else ""
    drawn, y = [], MARGIN + TITLE / 2
    for text, size in (
        (f"{net.name}: {net.title}", TITLE),
        (f"{net.source}. {images}.", FONT),
        (f"{counted.params:,} parameters{aux}, {counted.macs:,} multiply-adds.", FONT),
        (f'{WORDS} {norm} and ReLU ("linear": none).{runs}', FONT),
    ):
        for line in _wrapped(text, right - MARGIN, size):
            drawn.append(text_at(MARGIN, y, line, bold=size == TITLE, size=size))
            y += size + LINE - FONT
        y += LINE / 3
    x, kinds = float(MARGIN), {mark.kind for row in rows for mark in row.part.marks if isinstance(mark, Box)}
    for kind in (kind for kind in KINDS if kind in kinds and kind != "input"):
        label, color = KINDS[kind]
        if x + 2 * GAP + text_width(label) > right:
            x, y = MARGIN, y + 1.5 * LINE
        drawn += (rect_at("key", x, y - 6, 18, 12, f'fill="{color}" stroke="{INK}" rx="2"'), text_at(x + 24, y, label))
        x += 3 * GAP + text_width(label)
    return drawn, y + 2 * LINE


def _page(net: NetworkSpec, counted: Complexity, width: float, height: float, drawn: str) -> str:
    rows = "; ".join(f"{row.name} {as_printed(row.output)}" for row in counted.layers)
    about = f"{net.source}. Layers from top to bottom, with what each gives as height x width x channels: {rows}."
    across, down = decimal(width), decimal(height)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" viewBox="0 0 {across} {down}" \
role="img" font-family="Helvetica, Arial, sans-serif" fill="{INK}">
<title>{escaped(f"{net.name}: {net.title}")}</title>
<desc>{escaped(about)}</desc>
<rect width="{across}" height="{down}" fill="#ffffff"/>
{drawn}
</svg>
"""


def _rounded(count: int) -> str:
    """Three digits of a count: 118 M."""
    for unit, name in ((10**9, " G"), (10**6, " M"), (10**3, " K")):
        if count >= 0.9995 * unit:
            return f"{count / unit:#.3g}".rstrip(".") + name
    return str(count)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _wrapped(text: str, room: float, size: float) -> list[str]:
    """The lines of a text, none of them wider than `room` pixels."""
    characters = len(text)
    while True:
        lines = textwrap.wrap(text, characters)
        if characters == 1 or all(text_width(line, size == TITLE, size) <= room for line in lines):
            return lines
        characters = max(1, characters * 19 // 20)
