"""Fixed filters that whiten small patches of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.networks.drawing import Part, leaf
from inceptorch.networks.layers.base import BatchNorm, Shape, require_positive
from inceptorch.networks.layers.conv import Conv
from inceptorch.networks.layers.window import Padding, Window

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True)
class Whitening(Window, key="whitening"):
    """Convolution with the principal components of the training images' patches, each divided by its deviation, and
    with their negatives, then a bias and ReLU. Training sets the filters once, before its first step; the bias learns.

    As in airbench (arXiv:2404.00498 section 3.2), whose filters have 2x2 pixels.
    """

    kernel: int = 2
    pad: Padding = "valid"
    stride = 1

    def __post_init__(self) -> None:
        require_positive(kernel=self.kernel)
        self.require_window()

    @property
    def depth(self) -> int:
        return 1

    def conv(self, shape: Shape) -> Conv:
        """The convolution that it is."""
        return Conv(2 * shape[0] * self.kernel**2, self.kernel, pad=self.pad, norm=False)

    def output_shape(self, shape: Shape) -> Shape:
        return self.conv(shape).output_shape(shape)

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        return self.conv(shape).count(shape, norm)

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        return self.conv(shape).tensors(shape, norm)

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        module = self.conv(shape).module(shape, norm)
        module.get_submodule("conv").get_parameter("weight").requires_grad_(False)
        return module

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        return self.conv(shape).onnx(graph, x, shape, name, at)

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("conv", f"whitening {self.window}", f"{self.conv(shape).out}, fixed")
