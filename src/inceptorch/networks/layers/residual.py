"""Residual modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf, stack, sum_of
from inceptorch.networks.layers.base import BaseLayer, Layer, Shape, as_layer, as_printed
from inceptorch.networks.layers.batch_norm import BatchNorm
from inceptorch.networks.plain import plain_values, values_of

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


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

    @property
    def depth(self) -> int:
        return as_layer(self.layer).depth

    def output_shape(self, shape: Shape) -> Shape:
        output = as_layer(self.layer).output_shape(shape)
        if output != shape:
            raise TableError(f"{as_printed(output)} cannot be added to the {as_printed(shape)} that comes in")
        return shape

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        return as_layer(self.layer).count(shape, norm)

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

    def to_plain(self) -> Any:
        return {self.key: as_layer(self.layer).to_plain(), **plain_values(self, fields(self)[1:])}

    @classmethod
    def from_plain(cls, values: dict[str, Any], read: Callable[[Any], Layer]) -> Self:
        layer = read(values.get("layer"))
        return cls(layer, **values_of(cls, values, cls.key, without="layer"))
