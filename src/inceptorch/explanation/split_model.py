"""Which row of a network is looked at, and the network cut in two behind it.

What stands behind a row is run as a network of its own. So one definition serves every method on every row, only what
stands behind keeps what going backward needs, and no hook can meet an operation in place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from inceptorch.errors import TableError, did_you_mean
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv, SeparableConv, Shape, as_layer, walk
from inceptorch.networks.network import NetworkSpec

SMALLEST = 4  # a map of 2x2 only tells quarters of an image apart


def default_row(net: NetworkSpec, size: int) -> str:
    """The row of the body that is looked at, for squares of `size` pixels, where none is named.

    It is the last row with a convolution in it whose map is at least 4x4: the deepest one, whose channels are nearest to
    the classes, that still tells places apart. Pooling before fully connected layers (AlexNet, VGG) comes after it. Where
    no map is so large, it is the last of those whose map is largest.
    """
    shape: Shape = (3, size, size)
    sides = {}
    for row, layer in net.body.items():
        shape = as_layer(layer).output_shape(shape)
        sides[row] = min(shape[1:])
    rows = [
        row for row, layer in net.body.items() if any(isinstance(part, Conv | SeparableConv) for part in walk(layer))
    ] or list(net.body)
    large = [row for row in rows if sides[row] >= SMALLEST]
    return large[-1] if large else max(reversed(rows), key=lambda row: sides[row])


def cut(model: Model, row: str | None) -> tuple[nn.Sequential, nn.Sequential]:
    """The network in two parts, up to `row` of its body and behind it: behind(before(x)) are the logits. With None, the
    first part does nothing. Raises TableError for a row that the body does not have."""
    body = model.net.body
    if row is not None and row not in body:
        raise TableError(f"The body of {model.net.name} has no row {row!r}: {did_you_mean(row, body)}")
    rows = [*model.body.named_children(), *model.head.named_children()]
    first = 0 if row is None else list(body).index(row) + 1
    return nn.Sequential(OrderedDict(rows[:first])), nn.Sequential(OrderedDict(rows[first:]))


def maps_of(before: nn.Sequential, x: Tensor) -> Tensor:
    """What the first part makes of the network's input: [N, C, h, w]. Raises TableError for a row without a map."""
    maps: Tensor = before(x)
    if maps.ndim < 4:
        raise TableError("A fully connected row has no map: name a row above it.")
    return maps


@contextmanager
def gradients(model: Model) -> Iterator[None]:
    """While this lasts, the network answers as when it predicts, in float32, and gradients are taken, whatever the caller
    had set."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield
