"""What an image is optimized for. Objectives are values of maps, which are added, subtracted and scaled.

objective = channel("4c", 12) + 0.5 * channel("4d", 40) - channel("4c", 7)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from inceptorch.errors import TableError
from inceptorch.visualization.maps import LOGITS

TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?:(?P<factor>\d+(?:\.\d*)?|\.\d+)\s*\*\s*)?"
    r"(?P<layer>[^\s:*+-]+):(?P<channel>\d+)(?:@(?P<x>\d+),(?P<y>\d+))?\s*"
)


class Unit(NamedTuple):
    """A channel of a layer; at one place, its column and line."""

    layer: str
    channel: int
    x: int | None = None
    y: int | None = None

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise TableError for a channel or place that maps of these shapes do not have."""
        channels, *sides = shapes[self.layer]
        if not 0 <= self.channel < channels:
            raise TableError(
                f"Cannot see channel {self.channel} of layer {self.layer}: it has {channels} channels. Try 0 to "
                f"{channels - 1}."
            )
        if self.x is None or self.y is None:
            return
        if len(sides) < 2:
            raise TableError(
                f"Cannot see a place of layer {self.layer}: it has no map. Try {self.layer}:{self.channel}."
            )
        height, width = sides
        if not (0 <= self.x < width and 0 <= self.y < height):
            raise TableError(
                f"Cannot see place {self.x},{self.y} of layer {self.layer}: its map has {width} columns and {height} "
                f"lines. Try 0,0 to {width - 1},{height - 1}."
            )


@dataclass(frozen=True)
class Objective:
    """A value to maximize.

    layers   whose maps it takes
    value    from the maps {layer: [N, C, h, w]} of N images, a number for each: [N]
    units    the channels and places in it, which a network must have
    """

    layers: frozenset[str]
    value: Callable[[Mapping[str, Tensor]], Tensor]
    units: frozenset[Unit] = frozenset()

    def __add__(self, other: Objective) -> Objective:
        value = lambda maps: self.value(maps) + other.value(maps)  # noqa: E731
        return Objective(self.layers | other.layers, value, self.units | other.units)

    def __mul__(self, factor: float) -> Objective:
        return Objective(self.layers, lambda maps: factor * self.value(maps), self.units)

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __sub__(self, other: Objective) -> Objective:
        return self + -other


def channel(layer: str, index: int | Sequence[int]) -> Objective:
    """The mean of a channel over all places; of a sequence, each image has a channel of its own."""

    def value(maps: Mapping[str, Tensor]) -> Tensor:
        x = maps[layer].flatten(2).mean(2) if maps[layer].ndim > 2 else maps[layer]
        each = torch.as_tensor(index, device=x.device).expand(len(x))
        return x.gather(1, each[:, None])[:, 0]

    units = (Unit(layer, each) for each in ([index] if isinstance(index, int) else index))
    return Objective(frozenset([layer]), value, frozenset(units))


def peak(layer: str, index: int) -> Objective:
    """The highest value of a channel over all places."""

    def value(maps: Mapping[str, Tensor]) -> Tensor:
        return maps[layer][:, index].flatten(1).amax(1) if maps[layer].ndim > 2 else maps[layer][:, index]

    return Objective(frozenset([layer]), value, frozenset([Unit(layer, index)]))


def neuron(layer: str, index: int, x: int | None = None, y: int | None = None) -> Objective:
    """One place of a channel, by its column and line; by default the middle."""

    def value(maps: Mapping[str, Tensor]) -> Tensor:
        height, width = maps[layer].shape[2:]
        return maps[layer][:, index, height // 2 if y is None else y, width // 2 if x is None else x]

    return Objective(frozenset([layer]), value, frozenset([Unit(layer, index, x, y)]))


def logit(index: int | Sequence[int]) -> Objective:
    """A class, before the softmax, which could be raised by lowering the others."""
    return channel(LOGITS, index)


def direction(layer: str, vector: Tensor, cosine_power: float = 0.0) -> Objective:
    """The mean over all places of the dot product of a layer's channels with `vector` [C], times their cosine to
    that power, so that what points elsewhere counts less."""

    def value(maps: Mapping[str, Tensor]) -> Tensor:
        x = maps[layer].flatten(2) if maps[layer].ndim > 2 else maps[layer][..., None]
        along = vector.to(maps[layer]).view(1, -1, 1)
        dot = (x * along).sum(1)
        cosine = F.cosine_similarity(x, along, dim=1).clamp(min=0.1)  # that a gradient is left where it is negative
        return (dot * cosine**cosine_power).mean(1)

    return Objective(frozenset([layer]), value)


def energy(layer: str) -> Objective:
    """The mean of the squares of all units, which DeepDream raises."""
    return Objective(frozenset([layer]), lambda maps: maps[layer].square().flatten(1).mean(1))


def diversity(layer: str) -> Objective:
    """How unlike the images of a batch are: minus the mean cosine of each one's Gram matrix to the others'."""

    def value(maps: Mapping[str, Tensor]) -> Tensor:
        grams = F.normalize(gram(maps[layer]).flatten(1), dim=1)
        cosines = grams @ grams.T
        others = max(len(grams) - 1, 1)
        return -(cosines.sum(1) - cosines.diagonal()) / others

    return Objective(frozenset([layer]), value)


def gram(x: Tensor) -> Tensor:
    """The mean over all places of the products of channels: [N, C, C] of [N, C, h, w]."""
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def parse_objective(text: str) -> Objective:
    """The objective of a text such as `4c:12`, `4c:12@3,5` (one place: column, line) or
    `4c:12 + 0.5*4d:40 - 4c:7`. Raises TableError."""
    total: Objective | None = None
    at = 0
    while at < len(text) or total is None:
        found = TERM.match(text, at)
        if found is None or (total is not None and not found["sign"]):
            raise TableError(
                f"Cannot read {text[at:].strip()!r} in {text!r}: a term is LAYER:CHANNEL. "
                "Try '4c:12 + 0.5*4d:40 - 4c:7'."
            )
        index = int(found["channel"])
        term = (
            channel(found["layer"], index)
            if found["x"] is None
            else neuron(found["layer"], index, int(found["x"]), int(found["y"]))
        )
        factor = float(found["factor"] or 1) * (-1 if found["sign"] == "-" else 1)
        term = term if factor == 1 else factor * term
        total = term if total is None else total + term
        at = found.end()
    return total
