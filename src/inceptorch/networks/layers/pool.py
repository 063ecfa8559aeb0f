"""Pooling over a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf
from inceptorch.networks.layers.base import Layer, Shape
from inceptorch.networks.layers.batch_norm import BatchNorm
from inceptorch.networks.layers.window import Padding, Window

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True)
class Pool(Window, key="pool"):
    """Maximum or average over a window. An average leaves out the padding unless `count_pad`."""

    kind: Literal["max", "avg"]
    kernel: int = 3
    stride: int = 1
    pad: Padding = "same"
    count_pad: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("max", "avg"):
            raise TableError(f"A pool is max or avg, not {self.kind!r}.")
        self.require_window()

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], *self.slide(shape)

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        ceil = self.pad == "ceil"
        if self.kind == "max":
            return nn.MaxPool2d(self.kernel, self.stride, self.pads, ceil_mode=ceil)
        return nn.AvgPool2d(self.kernel, self.stride, self.pads, ceil, self.count_pad)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        how = self.onnx_window | {"ceil_mode": self.pad == "ceil"}
        if self.kind == "max":
            return graph.node("MaxPool", [x], f"{name}/pool", **how)
        return graph.node("AveragePool", [x], f"{name}/pool", **how, count_include_pad=self.count_pad)

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("pool", f"{self.kind} pool {self.window}", *["counts padding"] * self.count_pad)


def counting_pad(layer: Layer) -> Layer:
    """An average that counts the padding instead of one that leaves it out; for `map_layers`."""
    return replace(layer, count_pad=True) if isinstance(layer, Pool) and layer.kind == "avg" else layer
