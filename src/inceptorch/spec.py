"""The vocabulary in which a network is written down as a table.

A tuple of layers is "in sequence"; `Fork` is "in parallel, then concatenate". Channels *in* are never written:
whoever walks a table carries them along. Padding is part of the table:

    "same"    (kernel - 1) / 2 on every side, so that stride 1 keeps the size
    "valid"   none; what does not fill a window is dropped
    "ceil"    none; the last window may hang over the edge (Caffe's pooling)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inceptorch.errors import TableError

Padding = Literal["same", "valid", "ceil"]


@dataclass(frozen=True)
class Conv:
    """Convolution to `out` channels, the network's normalisation if it has one, then ReLU."""

    out: int
    kernel: int = 1
    stride: int = 1
    pad: Padding = "same"

    def __post_init__(self) -> None:
        _require_middle(self.pad, self.kernel)


@dataclass(frozen=True)
class Pool:
    kind: Literal["max", "avg"]
    kernel: int = 3
    stride: int = 1
    pad: Padding = "same"

    def __post_init__(self) -> None:
        _require_middle(self.pad, self.kernel)


@dataclass(frozen=True)
class LRN:
    """Local response normalisation across channels: x / (k + alpha/size * sum of size squares) ** beta."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0


@dataclass(frozen=True)
class GlobalAverage:
    """Average over the whole map, whatever its size."""


@dataclass(frozen=True)
class Dropout:
    rate: float


@dataclass(frozen=True)
class Linear:
    """Fully connected layer on the flattened map, with ReLU unless it gives the class scores."""

    out: int
    relu: bool = True


@dataclass(frozen=True, init=False)
class Fork:
    """Branches in parallel on the same input; their channels are concatenated in the order given."""

    branches: tuple[Layer, ...]

    def __init__(self, *branches: Layer):
        object.__setattr__(self, "branches", branches)


def _require_middle(pad: Padding, kernel: int) -> None:
    if pad == "same" and kernel % 2 == 0:
        raise TableError(f"A {kernel}x{kernel} window has no middle, so its padding cannot be 'same'.")


Layer = Conv | Pool | LRN | GlobalAverage | Dropout | Linear | Fork | tuple["Layer", ...]


def with_classifier(rows: Mapping[str, Layer], num_classes: int) -> dict[str, Layer]:
    """The rows of a head with the linear layer to the classes behind them, as row "linear"."""
    return {**rows, "linear": Linear(num_classes, relu=False)}


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation between every convolution and its ReLU; the convolution then has no bias."""

    eps: float = 1e-3
    momentum: float = 0.1


@dataclass(frozen=True)
class Net:
    """A paper's table.

    body      rows in order, named as the paper names them
    head      rows after the body; the linear layer to the classes is added behind them as row "linear"
    aux       rows of the body that carry an auxiliary classifier during training
    aux_head  the rows of each auxiliary classifier, before its own linear layer to the classes
    size      the side in pixels of the square input that the paper uses
    norm      None: convolutions have biases and nothing is normalised
    """

    name: str
    title: str
    source: str
    size: int
    body: Mapping[str, Layer]
    head: Mapping[str, Layer]
    aux: tuple[str, ...] = ()
    aux_head: Mapping[str, Layer] | None = None
    norm: BatchNorm | None = None

    def __post_init__(self) -> None:
        for row in self.aux:
            if row not in self.body:
                raise TableError(
                    f"Network {self.name!r}: the auxiliary head on row {row!r} has no such row to stand on."
                )
        if self.aux and self.aux_head is None:
            raise TableError(f"Network {self.name!r}: rows {self.aux} carry auxiliary heads but aux_head is not given.")
