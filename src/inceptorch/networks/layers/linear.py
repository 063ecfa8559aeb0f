"""Fully connected layers, and the dropout before them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf, listed
from inceptorch.networks.layers.base import BaseLayer, BatchNorm, Shape, require_positive
from inceptorch.networks.layers.field import Field

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True)
class Linear(BaseLayer, key="linear"):
    """Fully connected layer on the flattened map, with ReLU unless it gives the class scores."""

    out: int
    relu: bool = True

    def __post_init__(self) -> None:
        require_positive(width=self.out)

    @property
    def depth(self) -> int:
        return 1

    def output_shape(self, shape: Shape) -> Shape:
        return self.out, 1, 1

    def field(self, field: Field, shape: Shape) -> Field:
        return field.slid(shape[1:])

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        weights = self.out * math.prod(shape)
        return weights + self.out, weights

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        at = "linear." if self.relu else ""
        return {f"{at}weight": (self.out, math.prod(shape)), f"{at}bias": (self.out,)}

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.blocks import fully_connected

        return fully_connected(math.prod(shape), self.out, self.relu)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        where = f"{at}.linear" if self.relu else at
        flat = graph.node("Flatten", [x], f"{name}/flatten")
        constants = [graph.constant(f"{name}/{each}", graph.tensor(f"{where}.{each}")) for each in ("weight", "bias")]
        x = graph.node("Gemm", [flat, *constants], f"{name}/linear", transB=1)
        return graph.node("Relu", [x], f"{name}/relu") if self.relu else x

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("head", "linear", listed(self.out, "ReLU" * self.relu))


@dataclass(frozen=True)
class Dropout(BaseLayer, key="dropout"):
    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise TableError(f"A dropout rate is from 0 to below 1, not {self.rate}.")

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.rate)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        return x

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("head", "dropout", f"{self.rate:g}")
