"""The quantities that papers print, read off a table, and arithmetic with them: `googlenet['conv1'].params / 1024`."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inceptorch.networks.complexity import Complexity, LayerCost, aux_layer_costs, count_complexity
from inceptorch.networks.layers import (
    Conv,
    Dropout,
    Field,
    Fork,
    GlobalAverage,
    GlobalMax,
    Layer,
    Layers,
    Linear,
    Pool,
    SeparableConv,
    Shape,
    Window,
    as_layer,
    as_printed,
    map_layers,
    walk,
)
from inceptorch.networks.network import NetworkSpec, with_classifier
from inceptorch.networks.zoo import NETS

CLASSES = 1000
Value = int | float | str


@dataclass(frozen=True)
class CountedRow:
    """A row, what comes into it, and the rows of the auxiliary classifier if it carries one."""

    layer: Layer
    comes_in: Shape
    cost: LayerCost
    receptive_field: Field
    aux: Mapping[str, CountedRow] = field(default_factory=dict)
    modules: int = 0  # rows of branches on its grid
    modules_with_reduction: int = 0  # those that bring it about included

    @property
    def params(self) -> int:
        return self.cost.params

    @property
    def macs(self) -> int:
        return self.cost.macs

    @property
    def weights(self) -> int:
        """Parameters of convolutions and linear layers, biases left out."""
        shapes = as_layer(self.layer).tensors(self.comes_in, None).values()
        return sum(math.prod(shape) for shape in shapes if len(shape) > 1)

    @property
    def sees(self) -> str:
        """Height and width of the receptive field in pixels of the image."""
        return "{}x{}".format(*self.receptive_field.size)

    @property
    def volume(self) -> int:
        """The numbers in its map."""
        return math.prod(self.cost.output)

    @property
    def kept(self) -> float:
        """The volume of its map by that of the map that comes in."""
        return self.volume / math.prod(self.comes_in)

    @property
    def branch_sees(self) -> dict[str, str]:
        """What its branches see of the map that comes in, by the windows that they slide: "1x1 3x3"."""
        modules: list[Layer] = [part for part in walk(self.layer) if isinstance(part, Fork)]
        branches = [branch for part in modules or [self.layer] for branch in _branches(part)]
        return {_windows(branch): "{}x{}".format(*_seen(branch, self.comes_in)) for branch in branches}

    @property
    def spatial(self) -> float | None:
        """The fraction of a module's channels that come from convolutions with windows larger than 1x1."""
        if not isinstance(self.layer, Fork):
            return None
        wide = [
            as_layer(branch).output_shape(self.comes_in)[0]
            for branch in self.layer.branches
            if _seen(branch, self.comes_in) != (1, 1) and not any(isinstance(part, Pool) for part in walk(branch))
        ]
        return sum(wide) / self.channels

    @property
    def input(self) -> str:
        return as_printed(self.comes_in)

    @property
    def output(self) -> str:
        return as_printed(self.cost.output)

    @property
    def channels(self) -> int:
        return self.cost.output[0]

    @property
    def side(self) -> int:
        return self.cost.output[1]

    @property
    def depth(self) -> int:
        """Layers with parameters along the longest path."""
        return as_layer(self.layer).depth

    @property
    def stride(self) -> int:
        return as_layer(self.layer).reduction

    @property
    def rate(self) -> float | None:
        return self.layer.rate if isinstance(self.layer, Dropout) else None

    @property
    def window(self) -> str | None:
        """Side and stride of the window, the last one of several in sequence."""
        last = _chain(self.layer)[-1]
        if isinstance(last, GlobalAverage | GlobalMax):
            return "{1}x{2}/1".format(*self.comes_in)
        return f"{_side(last)}/{last.stride}" if isinstance(last, Window) else None

    @property
    def pool(self) -> str | None:
        """The kind of pooling in a module, and the width of what follows it."""
        for first, *rest in _branches(self.layer):
            if isinstance(first, Pool):
                return f"{first.kind} {'/'.join(str(_width(part)) for part in rest) or 'pass'}"
        return None

    @property
    def projection(self) -> Value:
        """The width of the 1x1 behind a module's pooling; 0 without one."""
        return self.width("pool 1x1", 1)

    def width(self, windows: str, at: int | list[int]) -> Value:
        """Of the branch that slides these windows, say "1x1 3x3", the width at this place in it, or at each of these;
        0 if there is no such branch."""
        for branch in _branches(self.layer):
            if _windows(branch) == windows:
                widths = {_width(branch[place]) for place in (at if isinstance(at, list) else [at])}
                return widths.pop() if len(widths) == 1 else "/".join(map(str, sorted(widths)))
        return 0


class CountedNet:
    """A network with its rows, and "softmax" behind them, counted for images of its own size."""

    def __init__(self, net: NetworkSpec) -> None:
        self.net = net
        self._cost: Complexity = count_complexity(net, num_classes=CLASSES)
        self.rows = _counted({**net.body, **net.head}, (3, net.size, net.size), Field(), self._cost.layers)
        last = self.rows["linear"]
        self.rows["softmax"] = CountedRow(
            (), (CLASSES, 1, 1), LayerCost("softmax", (CLASSES, 1, 1), 0, 0), last.receptive_field
        )
        for name in net.aux:
            shape, field = self.rows[name].cost.output, self.rows[name].receptive_field
            rows = _counted(net.aux_head or {}, shape, field, aux_layer_costs(net, name, shape, CLASSES))
            self.rows[name] = replace(self.rows[name], aux=rows)
        for name, row in self.rows.items():
            grid = [other for other in self.rows.values() if isinstance(other.layer, Fork) and other.side == row.side]
            same = sum(other.comes_in[1] == row.side for other in grid)
            self.rows[name] = replace(row, modules=same, modules_with_reduction=len(grid))

    def __getitem__(self, row: str) -> CountedRow:
        return self.rows[row]

    @property
    def size(self) -> int:
        return self.net.size

    @property
    def params(self) -> int:
        return self._cost.params

    @property
    def params_with_aux(self) -> int:
        return self._cost.params_with_aux

    @property
    def macs(self) -> int:
        return self._cost.macs

    @property
    def depth(self) -> int:
        return sum(row.depth for row in self.rows.values())

    @property
    def pools(self) -> int:
        """Layers that pool."""
        return sum(isinstance(row.layer, Pool | GlobalAverage | GlobalMax) for row in self.rows.values())

    @property
    def convs(self) -> int:
        return sum(isinstance(part, Conv) for row in self.rows.values() for part in walk(row.layer))

    @property
    def first_stride(self) -> int:
        return next(iter(self.rows.values())).stride

    @property
    def spatial_trend(self) -> str:
        """How the fraction of windows larger than 1x1 goes from module to module."""
        shares = {name: row.spatial for name, row in self.rows.items() if row.spatial}
        first, *_, last = shares
        steps = list(zip(list(shares.values()), list(shares.values())[1:], strict=False))
        falls = sum(after < before for before, after in steps)
        if not falls:
            return "increases"
        return f"falls in {falls} of {len(steps)} steps, from {shares[first]:.0%} to {shares[last]:.0%}"

    @property
    def aux_rows(self) -> str:
        return " and ".join(self.net.aux)

    @property
    def linear_params(self) -> int:
        return sum(row.params for row in self.rows.values() if isinstance(row.layer, Linear))

    @property
    def linear_params_with_aux(self) -> int:
        heads = [part for row in self.rows.values() for part in row.aux.values()]
        return self.linear_params + sum(part.params for part in heads if isinstance(part.layer, Linear))

    @property
    def params_without_groups(self) -> int:
        def whole(layer: Layer) -> Layer:
            return replace(layer, groups=1) if isinstance(layer, Conv) else layer

        body = {name: map_layers(row, whole) for name, row in self.net.body.items()}
        return count_complexity(replace(self.net, body=body), num_classes=CLASSES).params


class Nets(dict[str, CountedNet]):
    """The networks by name, each counted at its first use. `own` stands in for the one of its name."""

    def __init__(self, own: NetworkSpec | None = None) -> None:
        super().__init__({own.name: CountedNet(own)} if own else {})

    def __missing__(self, name: str) -> CountedNet:
        self[name] = CountedNet(NETS[name])
        return self[name]


OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def value_of(expression: Value, names: Mapping[str, Any]) -> Any:
    """The value of arithmetic on `names`. Only + - * / //, numbers, names, their quantities and rows are understood."""
    return _value(ast.parse(str(expression), mode="eval").body, names)


def uses_names(expression: Value) -> bool:
    """Whether it is more than arithmetic on numbers."""
    return any(isinstance(node, ast.Name) for node in ast.walk(ast.parse(str(expression), mode="eval")))


def filled(sentence: str, names: Mapping[str, Any]) -> str:
    """`sentence` with every {expression} or {expression:format} in it computed."""

    def computed(match: re.Match[str]) -> str:
        return format(value_of(match[1], names), match[2] or "")

    return re.sub(r"\{([^:}]+):?([^}]*)\}", computed, sentence)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return names[name]
        case ast.Attribute(of, name):
            owner = _value(of, names)
            return owner[name] if isinstance(owner, dict) else getattr(owner, name)
        case ast.Subscript(of, ast.Constant(str(row))):
            return _value(of, names)[row]
        case ast.BinOp(left, kind, right) if type(kind) in OPERATORS:
            return OPERATORS[type(kind)](_value(left, names), _value(right, names))
    raise ValueError(f"{ast.unparse(node)} is not arithmetic.")


def _counted(rows: Layers, shape: Shape, field: Field, costs: tuple[LayerCost, ...]) -> dict[str, CountedRow]:
    counted = {}
    layers = with_classifier(rows, CLASSES)
    for row in costs:
        field = as_layer(layers[row.name]).field(field, shape)
        counted[row.name] = CountedRow(layers[row.name], shape, row, field)
        shape = row.output
    return counted


def _chain(layer: Layer) -> tuple[Layer, ...]:
    return layer if isinstance(layer, tuple) else (layer,)


def _branches(layer: Layer) -> list[tuple[Layer, ...]]:
    return [_chain(branch) for branch in (layer.branches if isinstance(layer, Fork) else (layer,))]


def _side(layer: Layer) -> str:
    return "{}x{}".format(*layer.window_size) if isinstance(layer, Window) else ""


def _windows(branch: tuple[Layer, ...]) -> str:
    """The windows of a branch in their order: "1x1 3x3"; "pool" for pooling."""
    return " ".join("pool" if isinstance(part, Pool) else _side(part) for part in branch)


def _seen(branch: Layer, shape: Shape) -> tuple[int, int]:
    """Height and width of what a branch sees of the map that comes in, of `shape`."""
    return as_layer(branch).field(Field(), shape).size


def _width(layer: Layer) -> int:
    return layer.out if isinstance(layer, Conv | SeparableConv | Linear) else 0
