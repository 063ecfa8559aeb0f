"""Averages over the whole map, or over parts that divide it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.networks.drawing import Part, leaf
from inceptorch.networks.layers.base import BaseLayer, Shape, require_positive
from inceptorch.networks.layers.batch_norm import BatchNorm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True)
class GlobalAverage(BaseLayer, key="global_average"):
    """Average over the whole map, whatever its size."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(1)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        return graph.node("GlobalAveragePool", [x], f"{name}/pool")

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("average", "global average")


@dataclass(frozen=True)
class AdaptiveAverage(BaseLayer, key="adaptive_average"):
    """Average over windows that divide the map, whatever its size, into `side` x `side` parts (torch's rule)."""

    side: int

    def __post_init__(self) -> None:
        require_positive(side=self.side)

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], self.side, self.side

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.side)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        """The windows may differ by one in length and overlap, so this is a product with a matrix along each side."""
        _, height, width = shape
        across = graph.constant(f"{name}/across", _averages(width, self.side).T)
        down = graph.constant(f"{name}/down", _averages(height, self.side))
        x = graph.node("MatMul", [x, across], f"{name}/rows")
        return graph.node("MatMul", [down, x], f"{name}/pool")

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("average", "average", f"to {self.side}x{self.side}")


def _averages(length: int, parts: int) -> NDArray[np.float32]:
    """[parts, length]: each row averages from floor(i * length / parts) to ceil((i + 1) * length / parts)."""
    import numpy as np

    matrix = np.zeros((parts, length), np.float32)
    for part in range(parts):
        start, end = part * length // parts, math.ceil((part + 1) * length / parts)
        matrix[part, start:end] = 1 / (end - start)
    return matrix
