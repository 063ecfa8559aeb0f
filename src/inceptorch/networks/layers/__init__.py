"""The vocabulary in which a network is written down as a table.

A tuple of layers is "in sequence"; `Fork` is "in parallel, then concatenate"; `Residual` is "add, scaled". Channels *in*
are never written: whoever walks a table carries them along. Padding is part of the table:

    "same"    (kernel - 1) / 2 on every side, so that stride 1 keeps the size
    "valid"   none; what does not fill a window is dropped
    "ceil"    none; the last window may hang over the edge (Caffe's pooling)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from inceptorch.errors import TableError

Padding = Literal["same", "valid", "ceil"]
Kernel = int | tuple[int, int]  # a side, or (height, width): the papers' 1x7 is (1, 7)


@dataclass(frozen=True)
class Conv:
    """Convolution to `out` channels, the network's normalisation if it has one, then ReLU.

    groups   each group of output channels sees its own share of the input channels (AlexNet)
    norm     False: a bias here, where the network has normalisation elsewhere
    relu     False: linear, as before the sum of a residual module
    """

    out: int
    kernel: Kernel = 1
    stride: int = 1
    pad: Padding = "same"
    groups: int = 1
    norm: bool = True
    relu: bool = True

    def __post_init__(self) -> None:
        _require_whole(width=self.out, stride=self.stride, groups=self.groups)
        _require_window(self.pad, self.kernel)
        if self.out % self.groups:
            raise TableError(f"{self.out} channels cannot be divided into {self.groups} groups.")


@dataclass(frozen=True)
class SeparableConv:
    """A convolution of every channel alone into `multiplier` others, then one over all of them with a 1x1 window to
    `out` channels, the network's normalisation if it has one, and ReLU."""

    out: int
    kernel: Kernel
    stride: int = 1
    multiplier: int = 1
    pad: Padding = "same"

    def __post_init__(self) -> None:
        _require_whole(width=self.out, stride=self.stride, multiplier=self.multiplier)
        _require_window(self.pad, self.kernel)


@dataclass(frozen=True)
class Pool:
    """Maximum or average over a window. An average leaves out the padding unless `count_pad`."""

    kind: Literal["max", "avg"]
    kernel: int = 3
    stride: int = 1
    pad: Padding = "same"
    count_pad: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("max", "avg"):
            raise TableError(f"A pool is max or avg, not {self.kind!r}.")
        _require_whole(stride=self.stride)
        _require_window(self.pad, self.kernel)


@dataclass(frozen=True)
class LRN:
    """Local response normalisation across channels: x / (k + alpha/size * sum of size squares) ** beta."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        _require_whole(size=self.size)
        if self.size % 2 == 0:
            raise TableError(f"Local response normalisation over {self.size} channels has no channel in the middle.")


@dataclass(frozen=True)
class GlobalAverage:
    """Average over the whole map, whatever its size."""


@dataclass(frozen=True)
class AdaptiveAverage:
    """Average over windows that divide the map, whatever its size, into `side` x `side` parts (torch's rule)."""

    side: int

    def __post_init__(self) -> None:
        _require_whole(side=self.side)


@dataclass(frozen=True)
class Dropout:
    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise TableError(f"A dropout rate is from 0 to below 1, not {self.rate}.")


@dataclass(frozen=True)
class Linear:
    """Fully connected layer on the flattened map, with ReLU unless it gives the class scores."""

    out: int
    relu: bool = True

    def __post_init__(self) -> None:
        _require_whole(width=self.out)


@dataclass(frozen=True, init=False)
class Fork:
    """Branches in parallel on the same input; their channels are concatenated in the order given."""

    branches: tuple[Layer, ...]

    def __init__(self, *branches: Layer):
        if not branches:
            raise TableError("A fork has no branches.")
        object.__setattr__(self, "branches", branches)


@dataclass(frozen=True)
class Residual:
    """The input plus `scale` times what `layer` makes of it, then ReLU."""

    layer: Layer
    scale: float = 1.0
    relu: bool = True


Layer = (
    Conv
    | SeparableConv
    | Pool
    | LRN
    | GlobalAverage
    | AdaptiveAverage
    | Dropout
    | Linear
    | Fork
    | Residual
    | tuple["Layer", ...]
)
Layers = Mapping[str, Layer]


def sides(kernel: Kernel) -> tuple[int, int]:
    """Height and width of a window."""
    return kernel if isinstance(kernel, tuple) else (kernel, kernel)


def pads(kernel: Kernel, pad: Padding) -> tuple[int, int]:
    """What is added above and below, and left and right, of a map before the window slides over it."""
    height, width = sides(kernel)
    return ((height - 1) // 2, (width - 1) // 2) if pad == "same" else (0, 0)


def map_layers(layer: Layer, change: Callable[[Layer], Layer]) -> Layer:
    """`layer` with `change` applied to every layer in it that is not made of others."""
    match layer:
        case tuple():
            return tuple(map_layers(part, change) for part in layer)
        case Fork(branches):
            return Fork(*(map_layers(branch, change) for branch in branches))
        case Residual(inner):
            return replace(layer, layer=map_layers(inner, change))
        case _:
            return change(layer)


def counting_pad(layer: Layer) -> Layer:
    """An average that counts the padding instead of one that leaves it out; for `map_layers`."""
    return replace(layer, count_pad=True) if isinstance(layer, Pool) and layer.kind == "avg" else layer


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation between every convolution and its ReLU.

    conv_bias   the convolution keeps its bias, which does nothing that `beta` could not (Caffe's BN-Inception)
    """

    eps: float = 1e-3
    momentum: float = 0.1
    conv_bias: bool = False

    def __post_init__(self) -> None:
        if not (self.eps > 0 and 0 <= self.momentum <= 1):
            raise TableError(
                f"Batch normalisation needs eps above 0 and momentum from 0 to 1, not {self.eps} and {self.momentum}."
            )


def _require_whole(**values: int) -> None:
    for what, value in values.items():
        if value < 1:
            raise TableError(f"A {what} of {value} is not a whole number from 1 up.")


def _require_window(pad: Padding, kernel: Kernel) -> None:
    height, width = sides(kernel)
    if min(height, width) < 1:
        raise TableError(f"A window of {height}x{width} is empty.")
    if pad not in ("same", "valid", "ceil"):
        raise TableError(f"There is no padding {pad!r}; there are same, valid and ceil.")
    if pad == "same" and (height % 2 == 0 or width % 2 == 0):
        raise TableError(f"A {height}x{width} window has no middle, so its padding cannot be 'same'.")
