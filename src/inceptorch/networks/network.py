"""A network as a paper prints it: a table of named layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inceptorch.errors import TableError
from inceptorch.networks.layers import BatchNorm, Dropout, Fork, Layer, Layers, Linear, Residual, walk


@dataclass(frozen=True)
class NetworkSpec:
    """A paper's table.

    body      rows in order, named as the paper names them
    head      rows after the body; the linear layer to the classes is added behind them as row "linear"
    aux       rows of the body that carry an auxiliary classifier during training
    aux_head  the rows of each auxiliary classifier, before its own linear layer to the classes
    size      the side in pixels of the square input that the paper uses
    norm      None: convolutions have biases and nothing is normalized
    """

    name: str
    title: str
    source: str
    size: int
    body: Layers
    head: Layers
    aux: tuple[str, ...] = ()
    aux_head: Layers | None = None
    norm: BatchNorm | None = None

    def __post_init__(self) -> None:
        here = f"Network {self.name!r}"
        if not self.body:
            raise TableError(f"{here} has no rows in its body.")
        if not 1 <= self.size <= 4096:
            raise TableError(f"{here}: size {self.size} is not from 1 to 4096 pixels.")
        for row in (*self.body, *self.head, *(self.aux_head or {})):
            if not row or "." in row:
                raise TableError(f"{here}: a row cannot be called {row!r}; row names are not empty and have no dots.")
        for row in self.head:
            if row in self.body:
                raise TableError(f"{here}: the head has a row {row!r}, and so has the body; activations go by name.")
        if any("linear" in rows for rows in (self.body, self.head, self.aux_head or {})):
            raise TableError(f"{here}: row 'linear' is the layer to the classes, which is added by itself.")
        for row in self.aux:
            if row not in self.body:
                raise TableError(f"{here}: the auxiliary head on row {row!r} has no such row to stand on.")
        if len(set(self.aux)) < len(self.aux):
            raise TableError(f"{here}: a row carries two auxiliary heads: {', '.join(self.aux)}.")
        if self.aux and self.aux_head is None:
            raise TableError(f"{here}: rows {', '.join(self.aux)} carry auxiliary heads but aux_head is not given.")


def stem(net: NetworkSpec) -> int:
    """How many rows of the body stand before the first module, which has branches in it; 0 where there is no module."""
    module = Fork | Residual
    return next(
        (number for number, layer in enumerate(net.body.values()) if any(isinstance(x, module) for x in walk(layer))), 0
    )


def with_dropout(net: NetworkSpec, rate: float) -> NetworkSpec:
    """The network with `rate` for every dropout of its main head; one that has none gets one before the classifier."""
    if not any(isinstance(row, Dropout) for row in net.head.values()):
        return replace(net, head={**net.head, "dropout": Dropout(rate)})
    head = {name: Dropout(rate) if isinstance(row, Dropout) else row for name, row in net.head.items()}
    return replace(net, head=head)


def with_classifier(rows: Layers, num_classes: int) -> dict[str, Layer]:
    """The rows of a head with the linear layer to the classes behind them, as row "linear"."""
    return {**rows, "linear": Linear(num_classes, relu=False)}
