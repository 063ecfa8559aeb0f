"""Pooling: over a window, over the whole map, or over parts that divide it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf
from inceptorch.networks.layers.base import BaseLayer, BatchNorm, Layer, Shape, require_positive
from inceptorch.networks.layers.field import Field
from inceptorch.networks.layers.window import Padding, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
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


@dataclass(frozen=True)
class GlobalAverage(BaseLayer, key="global_average"):
    """Average over the whole map, whatever its size."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1

    def field(self, field: Field, shape: Shape) -> Field:
        return field.slid(shape[1:])

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(1)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        return graph.node("GlobalAveragePool", [x], f"{name}/pool")

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("average", "global average")


@dataclass(frozen=True)
class GlobalMax(BaseLayer, key="global_max"):
    """Maximum over the whole map, whatever its size."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1

    def field(self, field: Field, shape: Shape) -> Field:
        return field.slid(shape[1:])

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        return nn.AdaptiveMaxPool2d(1)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        return graph.node("GlobalMaxPool", [x], f"{name}/pool")

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("pool", "global maximum")


@dataclass(frozen=True)
class AdaptiveAverage(BaseLayer, key="adaptive_average"):
    """Average over windows that divide the map, whatever its size, into `size` x `size` parts (torch's rule)."""

    size: int

    def __post_init__(self) -> None:
        require_positive(size=self.size)

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], self.size, self.size

    def field(self, field: Field, shape: Shape) -> Field:
        """Of the widest of its windows, which need not be equally far apart: the stride is cut off."""
        _, height, width = shape
        spans = (
            span.slid(max(end - start for start, end in _windows(length, self.size)), max(1, length // self.size))
            for span, length in ((field.height, height), (field.width, width))
        )
        return Field(*spans)

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.size)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        """The windows may differ by one in length and overlap, so this is a product with a matrix along each axis."""
        _, height, width = shape
        across = graph.constant(f"{name}/across", _averages(width, self.size).T)
        down = graph.constant(f"{name}/down", _averages(height, self.size))
        x = graph.node("MatMul", [x, across], f"{name}/rows")
        return graph.node("MatMul", [down, x], f"{name}/pool")

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("average", "average", f"to {self.size}x{self.size}")


def _averages(length: int, parts: int) -> NDArray[np.float32]:
    """[parts, length]: each row averages one of the windows."""
    import numpy as np

    matrix = np.zeros((parts, length), np.float32)
    for part, (start, end) in enumerate(_windows(length, parts)):
        matrix[part, start:end] = 1 / (end - start)
    return matrix


def _windows(length: int, parts: int) -> list[tuple[int, int]]:
    """Where each window begins and ends: from floor(i * length / parts) to ceil((i + 1) * length / parts)."""
    return [(part * length // parts, math.ceil((part + 1) * length / parts)) for part in range(parts)]
