"""Shapes, parameters and multiply-adds, read off a table without building the network.

Multiply-adds are counted as the papers count them: one multiplication and its addition are one operation; only
convolutions and fully connected layers count. Parameters are weights, biases and batch normalization's two per channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inceptorch.errors import TableError, within
from inceptorch.networks.layers import Layers, Shape, TooSmallError, as_layer, prefixed
from inceptorch.networks.network import NetworkSpec, with_classifier
from inceptorch.networks.zoo import get_network

MAX_NUMBERS = 1_000_000_000  # in one layer's weights, and in its output; a slip in a table should not fill the memory


@dataclass(frozen=True)
class LayerCost:
    """One layer: its name, the shape (C, H, W) it gives, its parameters and its multiply-adds for one image."""

    name: str
    output: Shape
    params: int
    macs: int


@dataclass(frozen=True)
class Complexity:
    """A whole network for one image: the evaluation network's layers, and what training heads add."""

    net: str
    source: str
    size: int
    layers: tuple[LayerCost, ...]
    params_with_aux: int

    @property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


def count_complexity(
    name: str | NetworkSpec, size: int | None = None, num_classes: int = 1000, in_chans: int = 3
) -> Complexity:
    """Count the network `name` for square images of `size` pixels (the paper's own by default).

    Raises TableError naming the layer where an image of that size leaves nothing to work on. A size that only the
    auxiliary heads cannot take is no error here: their parameters then count as 0.
    """
    net = get_network(name) if isinstance(name, str) else name
    size = net.size if size is None else size
    try:
        layers = layer_costs(net, (in_chans, size, size), num_classes)
    except TableError as error:
        raise TableError(f"Network {net.name!r}, {size}x{size} pixels: {error}.") from None
    outputs = {layer.name: layer.output for layer in layers}
    try:
        aux = sum(layer.params for at in net.aux for layer in aux_layer_costs(net, at, outputs[at], num_classes))
    except TooSmallError:
        aux = 0
    return Complexity(net.name, net.source, size, layers, sum(layer.params for layer in layers) + aux)


complexity = count_complexity  # its public name
cost = count_complexity  # the public name of version 0.1, to be removed in version 0.3


def layer_costs(net: NetworkSpec, shape: Shape, num_classes: int) -> tuple[LayerCost, ...]:
    """The evaluation network's layers, body then head, for an input of `shape` (C, H, W)."""
    return _walk(net, {**net.body, **with_classifier(net.head, num_classes)}, shape, "layer ")


def aux_layer_costs(net: NetworkSpec, at: str, shape: Shape, num_classes: int) -> tuple[LayerCost, ...]:
    """The layers of the auxiliary head that stands on layer `at`, whose output has `shape` (C, H, W)."""
    return _walk(net, with_classifier(net.aux_head or {}, num_classes), shape, f"the auxiliary head on layer {at}, at ")


def tensor_shapes(
    net: NetworkSpec, num_classes: int, in_chans: int, size: int, aux: bool = False
) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors in the model's state dict, by their names there.

    Raises TableError if images of `size` pixels are too few, or the weights would not fit into memory."""
    check_size(net, size, aux)
    shape: Shape = (in_chans, size, size)
    outputs = {layer.name: layer.output for layer in layer_costs(net, shape, 1)}
    heads = _head_tensors("head", net.head, net, num_classes, outputs[list(net.body)[-1]])
    for name in net.aux if aux else ():
        heads |= _head_tensors(f"aux.{name}", net.aux_head or {}, net, num_classes, outputs[name])
    return body_tensors(net, shape) | prefixed(heads)


def body_tensors(net: NetworkSpec, shape: Shape) -> dict[str, tuple[int, ...]]:
    """The shapes of the body's tensors, by their names in the state dict, for an input of `shape` (C, H, W)."""
    parts = {}
    for name, layer in net.body.items():
        parts[f"body.{name}"] = as_layer(layer).tensors(shape, net.norm)
        shape = as_layer(layer).output_shape(shape)
    return prefixed(parts)


def _head_tensors(
    at: str, layers: Layers, net: NetworkSpec, num_classes: int, shape: Shape
) -> dict[str, dict[str, tuple[int, ...]]]:
    parts = {}
    for name, layer in with_classifier(layers, num_classes).items():
        parts[f"{at}.{name}"] = as_layer(layer).tensors(shape, net.norm)
        shape = as_layer(layer).output_shape(shape)
    return parts


def min_size(net: NetworkSpec, aux: bool = False) -> int:
    """The smallest square input in pixels that every layer can take; with `aux`, the auxiliary heads too."""
    smallest = next((size for size in range(1, 4097) if _fits(net, size, aux)), None)
    if smallest is None:
        raise TableError(f"Network {net.name!r} can take no image of up to 4096x4096.")
    return smallest


def check_size(net: NetworkSpec, size: int, aux: bool = False) -> None:
    """Raise TableError, naming the layer and the smallest size that works, if `size` pixels are too few."""
    try:
        _check_layers(net, size, aux)
    except TooSmallError as error:
        raise TableError(
            f"Images of {size}x{size} are too small for {net.name}{' with auxiliary heads' if aux else ''}: {error}; "
            f"it needs at least {min_size(net, aux)}x{min_size(net, aux)}."
        ) from None


def _walk(net: NetworkSpec, layers: Layers, shape: Shape, where: str) -> tuple[LayerCost, ...]:
    costs = []
    for name, layer in layers.items():
        try:
            output = as_layer(layer).output_shape(shape)
        except TableError as error:
            raise type(error)(within(f"{where}{name}", error)) from None
        cost = LayerCost(name, output, *as_layer(layer).count(shape, net.norm))
        for what, numbers in (("weights", cost.params), ("output for one image", math.prod(output))):
            if numbers > MAX_NUMBERS:
                raise TableError(f"{where}{name}: its {what} would take {4 * numbers / 1e9:.1f} GB; a layer may take 4")
        costs.append(cost)
        shape = output
    total = sum(cost.params for cost in costs)
    if total > 2 * MAX_NUMBERS:
        raise TableError(f"its weights would take {4 * total / 1e9:.0f} GB; a network may take 8")
    return tuple(costs)


def _check_layers(net: NetworkSpec, size: int, aux: bool) -> None:
    """Raise TooSmallError if a layer has no room on images of `size`, TableError if the table contradicts itself."""
    outputs = {layer.name: layer.output for layer in layer_costs(net, (3, size, size), 1)}
    for at in net.aux if aux else ():
        aux_layer_costs(net, at, outputs[at], 1)


def _fits(net: NetworkSpec, size: int, aux: bool) -> bool:
    try:
        _check_layers(net, size, aux)
    except TableError:  # too small, or halved unevenly by branches that round differently
        return False
    return True
