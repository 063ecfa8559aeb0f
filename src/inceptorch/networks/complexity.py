"""Shapes, parameters and multiply-adds, read off a table without building the network.

Multiply-adds are counted as the papers count them: one multiplication and its addition are one operation; only
convolutions and fully connected layers count. Parameters are weights, biases and batch normalisation's two per channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inceptorch.errors import TableError
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Kernel,
    Layer,
    Layers,
    Linear,
    Padding,
    Pool,
    Residual,
    SeparableConv,
    pads,
    sides,
)
from inceptorch.networks.network import NetworkSpec, with_classifier
from inceptorch.networks.zoo import get_network

Shape = tuple[int, int, int]  # channels, height, width
MOST_NUMBERS = 1_000_000_000  # in one row's weights, and in its output; a slip in a table should not fill the memory


@dataclass(frozen=True)
class LayerCost:
    """One row: its name, the shape (C, H, W) it gives, its parameters and its multiply-adds for one picture."""

    name: str
    output: Shape
    params: int
    macs: int


@dataclass(frozen=True)
class Complexity:
    """A whole network for one picture: the evaluation network's rows, and what training heads add."""

    net: str
    source: str
    size: int
    layers: tuple[LayerCost, ...]
    params_with_aux: int

    @property
    def rows(self) -> tuple[LayerCost, ...]:
        """`layers` by its former name."""
        return self.layers

    @property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


class _TooSmallError(TableError):
    """A window does not fit into what is left of the picture."""


def count_complexity(
    name: str | NetworkSpec, size: int | None = None, num_classes: int = 1000, in_chans: int = 3
) -> Complexity:
    """Count the network `name` for square pictures of `size` pixels (the paper's own by default).

    Raises TableError naming the row where a picture of that size leaves nothing to work on. A size that only the
    auxiliary heads cannot take is no error here: their parameters then count as 0.
    """
    net = get_network(name) if isinstance(name, str) else name
    size = net.size if size is None else size
    try:
        rows = layer_costs(net, (in_chans, size, size), num_classes)
    except TableError as error:
        raise TableError(f"Network {net.name!r}, {size}x{size} pixels: {error}.") from None
    outputs = {row.name: row.output for row in rows}
    try:
        aux = sum(row.params for at in net.aux for row in aux_layer_costs(net, at, outputs[at], num_classes))
    except _TooSmallError:
        aux = 0
    return Complexity(net.name, net.source, size, rows, sum(row.params for row in rows) + aux)


def layer_costs(net: NetworkSpec, shape: Shape, num_classes: int) -> tuple[LayerCost, ...]:
    """The evaluation network's rows, body then head, for an input of `shape` (C, H, W)."""
    return _walk(net, {**net.body, **with_classifier(net.head, num_classes)}, shape, "row ")


def aux_layer_costs(net: NetworkSpec, at: str, shape: Shape, num_classes: int) -> tuple[LayerCost, ...]:
    """The rows of the auxiliary head that stands on row `at`, whose output has `shape` (C, H, W)."""
    return _walk(net, with_classifier(net.aux_head or {}, num_classes), shape, f"the auxiliary head on row {at}, at ")


def min_size(net: NetworkSpec, aux: bool = False) -> int:
    """The smallest square input in pixels that every row can take; with `aux`, the auxiliary heads too."""
    fitting = (size for size in range(1, 4097) if _fits(net, size, aux))
    smallest = next(fitting, None)
    if smallest is None:
        raise TableError(f"Network {net.name!r} can take no picture of up to 4096x4096.")
    return smallest


def check_size(net: NetworkSpec, size: int, aux: bool = False) -> None:
    """Raise TableError, naming the row and the smallest size that works, if `size` pixels are too few."""
    try:
        _check_rows(net, size, aux)
    except _TooSmallError as error:
        raise TableError(
            f"Pictures of {size}x{size} are too small for {net.name}{' with auxiliary heads' if aux else ''}: {error}; "
            f"it needs at least {min_size(net, aux)}x{min_size(net, aux)}."
        ) from None


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """The shape (C, H, W) that `layer` makes of `shape`. Raises TableError where a window does not fit or where parts of
    a row do not fit each other."""
    channels, height, width = shape
    match layer:
        case Conv() | SeparableConv():
            if isinstance(layer, Conv) and channels % layer.groups:
                raise TableError(f"{channels} channels cannot be divided into {layer.groups} groups")
            return layer.out, *_slide(height, width, layer.kernel, layer.stride, layer.pad)
        case Pool(_, kernel, stride, pad):
            return channels, *_slide(height, width, kernel, stride, pad)
        case Linear(out):
            return out, 1, 1
        case GlobalAverage():
            return channels, 1, 1
        case AdaptiveAverage(side):
            return channels, side, side
        case LRN() | Dropout():
            return shape
        case Fork(branches):
            outputs = [output_shape(branch, shape) for branch in branches]
            if len({output[1:] for output in outputs}) > 1:
                raise TableError(f"branches give maps of different sizes {[output[1:] for output in outputs]}")
            return sum(output[0] for output in outputs), *outputs[0][1:]
        case Residual(inner):
            output = output_shape(inner, shape)
            if output != shape:
                raise TableError(f"{as_printed(output)} cannot be added to the {as_printed(shape)} that comes in")
            return shape
        case tuple():
            for part in layer:
                shape = output_shape(part, shape)
            return shape


def as_printed(shape: Shape) -> str:
    """A shape (C, H, W) as the papers print it: 28x28x256."""
    channels, height, width = shape
    return f"{height}x{width}x{channels}"


def stride(layer: Layer) -> int:
    """How many pixels of its input `layer` goes on for one of its output. Branches have one stride between them."""
    match layer:
        case Conv(stride=step) | SeparableConv(stride=step) | Pool(stride=step):
            return step
        case Fork(branches):
            return max(stride(branch) for branch in branches)
        case tuple():
            return math.prod(map(stride, layer))
        case _:
            return 1


def _count(layer: Layer, shape: Shape, net: NetworkSpec) -> tuple[int, int]:
    """Parameters and multiply-adds of `layer` on an input of `shape`."""
    match layer:
        case Conv(out, kernel, groups=groups, norm=norm):
            _, height, width = output_shape(layer, shape)
            rows, columns = sides(kernel)
            weights = out * rows * columns * (shape[0] // groups)
            return weights + _beside(out, net if norm else None), weights * height * width
        case SeparableConv(out, kernel, multiplier=multiplier):
            _, height, width = output_shape(layer, shape)
            rows, columns = sides(kernel)
            weights = shape[0] * multiplier * (rows * columns + out)
            return weights + _beside(out, net), weights * height * width
        case Linear(out):
            weights = out * shape[0] * shape[1] * shape[2]
            return weights + out, weights
        case Fork(branches):
            counts = [_count(branch, shape, net) for branch in branches]
        case Residual(inner):
            return _count(inner, shape, net)
        case tuple():
            counts = []
            for part in layer:
                counts.append(_count(part, shape, net))
                shape = output_shape(part, shape)
        case _:
            return 0, 0
    return sum(params for params, _ in counts), sum(macs for _, macs in counts)


def _beside(out: int, net: NetworkSpec | None) -> int:
    """The parameters of a convolution beside its weights: a bias, or normalisation's two, or all three."""
    if net is None or net.norm is None:
        return out
    return 3 * out if net.norm.conv_bias else 2 * out


def _walk(net: NetworkSpec, rows: Layers, shape: Shape, where: str) -> tuple[LayerCost, ...]:
    costs = []
    for name, layer in rows.items():
        try:
            output = output_shape(layer, shape)
        except TableError as error:
            raise type(error)(f"{where}{name}: {error}") from None
        row = LayerCost(name, output, *_count(layer, shape, net))
        for what, numbers in (("weights", row.params), ("output for one picture", math.prod(output))):
            if numbers > MOST_NUMBERS:
                raise TableError(f"{where}{name}: its {what} would take {4 * numbers / 1e9:.1f} GB; a row may take 4")
        costs.append(row)
        shape = output
    total = sum(row.params for row in costs)
    if total > 2 * MOST_NUMBERS:
        raise TableError(f"its weights would take {4 * total / 1e9:.0f} GB; a network may take 8")
    return tuple(costs)


def _check_rows(net: NetworkSpec, size: int, aux: bool) -> None:
    """Raise _TooSmallError if a row has no room on pictures of `size`, TableError if the table contradicts itself."""
    outputs = {row.name: row.output for row in layer_costs(net, (3, size, size), 1)}
    for at in net.aux if aux else ():
        aux_layer_costs(net, at, outputs[at], 1)


def _fits(net: NetworkSpec, size: int, aux: bool) -> bool:
    try:
        _check_rows(net, size, aux)
    except TableError:  # too small, or halved unevenly by branches that round differently
        return False
    return True


def _slide(height: int, width: int, kernel: Kernel, stride: int, pad: Padding) -> tuple[int, int]:
    """How many windows fit on a map, down and across; PyTorch's and Caffe's arithmetic."""
    windows = [
        _windows(size, window, stride, 2 * around, pad)
        for size, window, around in zip((height, width), sides(kernel), pads(kernel, pad), strict=True)
    ]
    if min(windows) < 1:
        raise _TooSmallError(f"a {'x'.join(map(str, sides(kernel)))} window does not fit into a {height}x{width} map")
    return windows[0], windows[1]


def _windows(size: int, window: int, stride: int, around: int, pad: Padding) -> int:
    """How many windows of side `window` fit on a side of `size`; 0 if none does."""
    room = size + around - window
    if pad == "ceil":
        windows = -(-room // stride) + 1
        return windows - 1 if (windows - 1) * stride >= size else windows  # a window must begin inside the map
    return room // stride + 1 if room >= 0 else 0
