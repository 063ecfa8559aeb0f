"""The interface of layers: output shape, cost, torch module, ONNX nodes, drawing and written form.

A kind of layer is one frozen dataclass, registered by its name in YAML. A tuple of layers is "in sequence", which
`Sequence` answers for. Channels *in* are never written: the shape is carried along through a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, stack
from inceptorch.networks.layers.field import Field
from inceptorch.networks.plain import build_checked

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter

Shape = tuple[int, int, int]  # channels, height, width
FLATTEN = "flatten_"  # and a linear layer's name: the torch module before it
KINDS: dict[str, type[BaseLayer]] = {}  # by the name in YAML


class TooSmallError(TableError):
    """A window does not fit into what is left of the image."""


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization between every convolution and its ReLU: a property of a network, not a layer of its table.

    conv_bias   the convolution keeps its bias, which does nothing that `beta` could not (Caffe's BN-Inception)
    """

    eps: float = 1e-3
    momentum: float = 0.1
    conv_bias: bool = False

    def __post_init__(self) -> None:
        if not (self.eps > 0 and 0 <= self.momentum <= 1):
            raise TableError(
                f"Batch normalization needs eps above 0 and momentum from 0 to 1, not {self.eps} and {self.momentum}."
            )


@dataclass(frozen=True)
class BaseLayer:
    """One kind of layer. `norm` is the network's normalization, if it has one."""

    key: ClassVar[str]

    def __init_subclass__(cls, key: str = "") -> None:
        super().__init_subclass__()
        if key:
            cls.key = key
            KINDS[key] = cls

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers that this one is made of."""
        return ()

    def with_parts(self, parts: tuple[Layer, ...]) -> Layer:
        """The same layer made of other `parts`."""
        return self

    @property
    def reduction(self) -> int:
        """Pixels of the input for each pixel of the output."""
        return 1

    @property
    def depth(self) -> int:
        """Layers with parameters along the longest path."""
        return max((as_layer(part).depth for part in self.parts), default=0)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that it makes of `shape`. Raises TableError where it does not fit."""
        return shape

    def field(self, field: Field, shape: Shape) -> Field:
        """What a place of its output sees of the network's input, where a place of its input, of `shape`, sees
        `field`."""
        return field

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        """Parameters, and multiply-adds for one image of `shape`."""
        counts = [as_layer(part).count(shape, norm) for part in self.parts]
        return sum(params for params, _ in counts), sum(macs for _, macs in counts)

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        """The shapes of its tensors in the state dict by their names there, for an input of `shape`."""
        return {}

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        """The torch module for an input of `shape`. torch is imported here and not with the file."""
        raise NotImplementedError

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        """Add nodes for the input `x` of `shape` and return their output. Their names begin with `name`, those of the
        tensors in the state dict with `at`."""
        raise NotImplementedError

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        """Its drawing on an input of `shape`."""
        raise NotImplementedError

    def to_plain(self) -> Any:
        """Its written form: the kind with its first value, then what differs from the defaults."""
        if not fields(self):
            return self.key
        first = fields(self)[0].name
        return {self.key: plain(getattr(self, first)), **changed_values(self, skip=first)}

    @classmethod
    def from_plain(cls, values: dict[str, Any], read: Callable[[Any], Layer]) -> Self:
        """The layer with these `values`; `read` reads layers within it. Raises TableError."""
        return build_checked(cls, values, cls.key)


@dataclass(frozen=True)
class Sequence(BaseLayer):
    """Layers one after the other; in tables, a tuple."""

    layers: tuple[Layer, ...]

    def steps(self, shape: Shape) -> Iterator[tuple[BaseLayer, Shape]]:
        """Each layer with the shape of its input."""
        for each in map(as_layer, self.layers):
            yield each, shape
            shape = each.output_shape(shape)

    @property
    def reduction(self) -> int:
        return math.prod(as_layer(each).reduction for each in self.layers)

    @property
    def depth(self) -> int:
        return sum(as_layer(each).depth for each in self.layers)

    def output_shape(self, shape: Shape) -> Shape:
        for each in self.layers:
            shape = as_layer(each).output_shape(shape)
        return shape

    def field(self, field: Field, shape: Shape) -> Field:
        for each, at in self.steps(shape):
            field = each.field(field, at)
        return field

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        counts = [each.count(at, norm) for each, at in self.steps(shape)]
        return sum(params for params, _ in counts), sum(macs for _, macs in counts)

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        return prefixed({str(number): each.tensors(at, norm) for number, (each, at) in enumerate(self.steps(shape))})

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        from inceptorch.models.blocks import sequential

        if not self.layers:  # as a first child, an empty container misleads torchvision's split_normalization_params
            return nn.Identity()
        return sequential({str(number): each for number, each in enumerate(self.layers)}, shape, norm)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        for number, (each, comes_in) in enumerate(self.steps(shape)):
            x = each.onnx(graph, x, comes_in, f"{name}/{number}", f"{at}.{number}")
        return x

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return stack([each.draw(at, norm) for each, at in self.steps(shape)])


Layer = BaseLayer | tuple["Layer", ...]
Layers = Mapping[str, Layer]


def as_layer(layer: Layer) -> BaseLayer:
    """The object that answers for `layer`, a tuple of layers included."""
    return Sequence(layer) if isinstance(layer, tuple) else layer


def prefixed(parts: Mapping[str, Mapping[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """The tensors of several parts, with the part's name in front."""
    return {f"{part}.{name}": shape for part, tensors in parts.items() for name, shape in tensors.items()}


def walk(layer: Layer) -> Iterator[BaseLayer]:
    """`layer` and every layer within it, from the input on; tuples are gone through."""
    if isinstance(layer, tuple):
        parts = layer
    else:
        yield layer
        parts = layer.parts
    for part in parts:
        yield from walk(part)


def map_layers(layer: Layer, change: Callable[[BaseLayer], Layer]) -> Layer:
    """`layer` with `change` applied to every layer in it that is not made of others."""
    if isinstance(layer, tuple):
        return tuple(map_layers(part, change) for part in layer)
    if layer.parts:
        return layer.with_parts(tuple(map_layers(part, change) for part in layer.parts))
    return change(layer)


def plain(value: Any) -> Any:
    """A value of a layer, or layers, as YAML writes it."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value.to_plain() if isinstance(value, BaseLayer) else value


def changed_values(record: BaseLayer | BatchNorm, skip: str = "") -> dict[str, Any]:
    """The values of a dataclass that are not its defaults, as YAML writes them."""
    values = {field.name: (getattr(record, field.name), field.default) for field in fields(record)}
    return {name: plain(value) for name, (value, default) in values.items() if name != skip and value != default}


def as_printed(shape: Shape) -> str:
    """A shape (C, H, W) as the papers print it: 28x28x256."""
    channels, height, width = shape
    return f"{height}x{width}x{channels}"


def require_positive(**values: int) -> None:
    for what, value in values.items():
        if value < 1:
            raise TableError(f"A {what} of {value} is not a whole number from 1 up.")
