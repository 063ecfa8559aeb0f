"""Layers made of others: branches in parallel, and residual modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf, side_by_side, stack, sum_of
from inceptorch.networks.layers.base import BaseLayer, BatchNorm, Layer, Shape, as_layer, as_printed, prefixed
from inceptorch.networks.layers.field import Field
from inceptorch.networks.plain import build_checked

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True, init=False)
class Fork(BaseLayer, key="fork"):
    """Branches in parallel on the same input; their channels are concatenated in the order given."""

    branches: tuple[Layer, ...]

    def __init__(self, *branches: Layer):
        if not branches:
            raise TableError("A fork has no branches.")
        object.__setattr__(self, "branches", branches)

    @property
    def parts(self) -> tuple[Layer, ...]:
        return self.branches

    def with_parts(self, parts: tuple[Layer, ...]) -> Layer:
        return Fork(*parts)

    @property
    def reduction(self) -> int:
        return max(as_layer(branch).reduction for branch in self.branches)

    def output_shape(self, shape: Shape) -> Shape:
        outputs = [as_layer(branch).output_shape(shape) for branch in self.branches]
        if len({output[1:] for output in outputs}) > 1:
            raise TableError(f"branches give maps of different sizes {[output[1:] for output in outputs]}")
        return sum(output[0] for output in outputs), *outputs[0][1:]

    def field(self, field: Field, shape: Shape) -> Field:
        return reduce(Field.joined, (as_layer(branch).field(field, shape) for branch in self.branches))

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        branches = [as_layer(branch).tensors(shape, norm) for branch in self.branches]
        return prefixed({str(number): tensors for number, tensors in enumerate(branches)})

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.blocks import Concat

        return Concat(as_layer(branch).module(shape, norm) for branch in self.branches)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        ends = [
            as_layer(branch).onnx(graph, x, shape, f"{name}/{number}", f"{at}.{number}")
            for number, branch in enumerate(self.branches)
        ]
        return graph.node("Concat", ends, f"{name}/concat", axis=1)

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        branches = [as_layer(branch).draw(shape, norm) for branch in self.branches]
        return side_by_side(branches, f"concat, {self.output_shape(shape)[0]} channels")

    @classmethod
    def from_plain(cls, values: dict[str, Any], read: Callable[[Any], Layer]) -> Self:
        branches = values.get("branches")
        if not isinstance(branches, list) or len(values) > 1:
            raise TableError("A fork is written as a list of branches and nothing else.")
        return cls(*map(read, branches))


@dataclass(frozen=True)
class Residual(BaseLayer, key="residual"):
    """The input plus `scale` times what `layer` makes of it, then ReLU."""

    layer: Layer
    scale: float = 1.0
    relu: bool = True

    @property
    def parts(self) -> tuple[Layer, ...]:
        return (self.layer,)

    def with_parts(self, parts: tuple[Layer, ...]) -> Layer:
        (layer,) = parts
        return replace(self, layer=layer)

    def output_shape(self, shape: Shape) -> Shape:
        output = as_layer(self.layer).output_shape(shape)
        if output != shape:
            raise TableError(f"{as_printed(output)} cannot be added to the {as_printed(shape)} that comes in")
        return shape

    def field(self, field: Field, shape: Shape) -> Field:
        return field.joined(as_layer(self.layer).field(field, shape))

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        return prefixed({"layer": as_layer(self.layer).tensors(shape, norm)})

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.blocks import ResidualSum

        return ResidualSum(as_layer(self.layer).module(shape, norm), self.scale, self.relu)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        import numpy as np

        addend = as_layer(self.layer).onnx(graph, x, shape, f"{name}/layer", f"{at}.layer")
        if self.scale != 1:
            factor = graph.constant(f"{name}/scale/value", np.array(self.scale, np.float32))
            addend = graph.node("Mul", [addend, factor], f"{name}/scale")
        x = graph.node("Add", [x, addend], f"{name}/sum")
        return graph.node("Relu", [x], f"{name}/relu") if self.relu else x

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        total = sum_of(as_layer(self.layer).draw(shape, norm), "+" if self.scale == 1 else f"+ x{self.scale:g}")
        return stack([total, leaf("sum", "ReLU")]) if self.relu else total

    @classmethod
    def from_plain(cls, values: dict[str, Any], read: Callable[[Any], Layer]) -> Self:
        return build_checked(cls, {**values, "layer": read(values.get("layer"))}, cls.key)
