"""Convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, leaf, listed
from inceptorch.networks.layers.base import BatchNorm, Shape, require_positive
from inceptorch.networks.layers.field import Field
from inceptorch.networks.layers.pool import Pool
from inceptorch.networks.layers.window import Kernel, Padding, Window

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True)
class Conv(Window, key="conv"):
    """Convolution to `out` channels, the network's normalization if it has one, then ReLU.

    groups   each group of output channels sees its own part of the input channels (AlexNet)
    norm     False: a bias here, where the network has normalization elsewhere
    relu     False: linear, as before the sum of a residual module
    pool     the maximum of every pool x pool places, taken before the normalization, which has less to do then
    """

    out: int
    kernel: Kernel = 1
    stride: int = 1
    pad: Padding = "same"
    groups: int = 1
    norm: bool = True
    relu: bool = True
    pool: int = 1

    def __post_init__(self) -> None:
        require_positive(width=self.out, stride=self.stride, groups=self.groups, pool=self.pool)
        self.require_window()
        if self.out % self.groups:
            raise TableError(f"{self.out} channels cannot be divided into {self.groups} groups.")

    @property
    def depth(self) -> int:
        return 1

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] % self.groups:
            raise TableError(f"{shape[0]} channels cannot be divided into {self.groups} groups")
        shape = (self.out, *self.slide(shape))
        return self.pooling.output_shape(shape) if self.pooling else shape

    @property
    def pooling(self) -> Pool | None:
        """The pool within it."""
        return Pool("max", self.pool, self.pool, "valid") if self.pool > 1 else None

    @property
    def reduction(self) -> int:
        return self.stride * self.pool

    def field(self, field: Field, shape: Shape) -> Field:
        return super().field(field, shape).slid((self.pool, self.pool), self.pool)

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        height, width = self.slide(shape)
        rows, columns = self.window_size
        weights = self.out * rows * columns * (shape[0] // self.groups)
        return weights + _other_params(self.out, norm if self.norm else None), weights * height * width

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        weight = (self.out, shape[0] // self.groups, *self.window_size)
        return {"conv.weight": weight, **_other_tensors(self.out, norm if self.norm else None)}

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.blocks import activated, conv2d

        norm = norm if self.norm else None
        bias = norm is None or norm.conv_bias
        conv = conv2d(shape[0], self.out, self.window_size, self.stride, self.pads, groups=self.groups, bias=bias)
        pool = {"pool": self.pooling.module(shape, None)} if self.pooling else {}
        return activated({"conv": conv, **pool}, self.out, norm, self.relu)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        weight, bias = graph.folded(f"{at}.conv", f"{at}.bn" if self.norm else None)
        signs = graph.signs(f"{at}.bn") if self.norm and self.pooling else None
        if signs is not None:  # a maximum and a factor of normalization change places only if that is above 0
            weight, bias = weight * signs.reshape(-1, 1, 1, 1), None if bias is None else bias * signs
        x = graph.convolution(x, f"{name}/conv", weight, bias, self.groups, **self.onnx_window)
        if self.pooling:
            x = self.pooling.onnx(graph, x, shape, name, at)
        if signs is not None:
            x = graph.node("Mul", [x, graph.constant(f"{name}/signs", signs.reshape(1, -1, 1, 1))], f"{name}/sign")
        return graph.node("Relu", [x], f"{name}/relu") if self.relu else x

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        groups = f"groups {self.groups}" if self.groups > 1 else ""
        bias = "bias" if norm and not self.norm else ""
        pool = f"max pool {self.pool}x{self.pool}" if self.pooling else ""
        return leaf("conv", f"conv {self.window}", listed(self.out, groups, pool, "linear" * (not self.relu), bias))


@dataclass(frozen=True)
class SeparableConv(Window, key="separable_conv"):
    """A convolution of every channel alone into `multiplier` others, then one over all of them with a 1x1 window to
    `out` channels, the network's normalization if it has one, and ReLU."""

    out: int
    kernel: Kernel
    stride: int = 1
    multiplier: int = 1
    pad: Padding = "same"

    def __post_init__(self) -> None:
        require_positive(width=self.out, stride=self.stride, multiplier=self.multiplier)
        self.require_window()

    @property
    def depth(self) -> int:
        return 1

    def output_shape(self, shape: Shape) -> Shape:
        return self.out, *self.slide(shape)

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        _, height, width = self.output_shape(shape)
        rows, columns = self.window_size
        weights = shape[0] * self.multiplier * (rows * columns + self.out)
        return weights + _other_params(self.out, norm), weights * height * width

    def tensors(self, shape: Shape, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
        wide = shape[0] * self.multiplier
        weights = {"depthwise.weight": (wide, 1, *self.window_size), "conv.weight": (self.out, wide, 1, 1)}
        return {**weights, **_other_tensors(self.out, norm)}

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.blocks import activated, conv2d

        channels, wide = shape[0], shape[0] * self.multiplier
        depthwise = conv2d(channels, wide, self.window_size, self.stride, self.pads, groups=channels, bias=False)
        pointwise = conv2d(wide, self.out, 1, bias=norm is None or norm.conv_bias)
        return activated({"depthwise": depthwise, "conv": pointwise}, self.out, norm, relu=True)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        depthwise = graph.tensor(f"{at}.depthwise.weight")
        x = graph.convolution(x, f"{name}/depthwise", depthwise, None, shape[0], **self.onnx_window)
        x = graph.convolution(x, f"{name}/conv", *graph.folded(f"{at}.conv", f"{at}.bn"))
        return graph.node("Relu", [x], f"{name}/relu")

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        return leaf("conv", f"separable {self.window} x{self.multiplier}", f"{self.out}")


def _other_params(out: int, norm: BatchNorm | None) -> int:
    """The parameters of a convolution beside its weights: a bias, or normalization's two, or all three."""
    if norm is None:
        return out
    return 3 * out if norm.conv_bias else 2 * out


def _other_tensors(out: int, norm: BatchNorm | None) -> dict[str, tuple[int, ...]]:
    """The tensors beside the weights: a bias, or normalization's, or both."""
    bias: dict[str, tuple[int, ...]] = {"conv.bias": (out,)}
    if norm is None:
        return bias
    names = ("weight", "bias", "running_mean", "running_var")
    return (bias if norm.conv_bias else {}) | {f"bn.{name}": (out,) for name in names} | {"bn.num_batches_tracked": ()}
