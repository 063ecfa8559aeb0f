"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf
from inceptorch.networks.layers.base import BaseLayer, Shape
from inceptorch.networks.layers.batch_norm import BatchNorm

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


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
