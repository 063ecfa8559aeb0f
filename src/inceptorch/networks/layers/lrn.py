"""Local response normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf
from inceptorch.networks.layers.base import BaseLayer, BatchNorm, Shape, require_positive

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True)
class LRN(BaseLayer, key="lrn"):
    """Local response normalization across channels: x / (k + alpha/size * sum of size squares) ** beta."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        require_positive(size=self.size)
        if self.size % 2 == 0:
            raise TableError(f"Local response normalization over {self.size} channels has no channel in the middle.")

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.lrn import LocalResponseNorm

        return LocalResponseNorm(shape[0], self)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        """The sum is a 1x1 convolution by a banded matrix and the power two square roots. OpenVINO's own operator is a
        little faster, but ONNX Runtime's takes nearly as long as the rest of GoogLeNet."""
        import numpy as np

        channels, name = shape[0], f"{name}/lrn"
        places = np.arange(channels)
        near = np.abs(places[:, None] - places[None, :]) <= self.size // 2
        band = (near * (self.alpha / self.size)).astype(np.float32)[:, :, None, None]
        squares = graph.node("Mul", [x, x], f"{name}/squares")
        sums = graph.convolution(squares, f"{name}/sums", band, np.full(channels, self.k, np.float32))
        if self.beta == 0.75:
            root = graph.node("Sqrt", [sums], f"{name}/root")
            power = graph.node("Mul", [root, graph.node("Sqrt", [root], f"{name}/fourth_root")], f"{name}/power")
        else:
            beta = graph.constant(f"{name}/beta", np.array(self.beta, np.float32))
            power = graph.node("Pow", [sums, beta], f"{name}/power")
        return graph.node("Div", [x, power], name)

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("norm", "local response", f"over {self.size} channels")
