"""The layer to explain, and the network split there.

The layers after it run as a network of their own. So one definition serves every method at every layer, only those
layers keep activations for the backward pass, and no hook meets an in-place operation.
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

MIN_MAP_SIZE = 4  # a map of 2x2 only tells quarters of an image apart


def default_layer(net: NetworkSpec, size: int) -> str:
    """The layer of the body to explain by default, for images of `size` pixels.

    It is the last layer with a convolution whose map is at least 4x4: the closest to the classes that still localizes.
    Pooling before fully connected layers (AlexNet, VGG) comes after it. If no map is that large, it is the last layer
    with the largest map.
    """
    shape: Shape = (3, size, size)
    sizes = {}
    for name, layer in net.body.items():
        shape = as_layer(layer).output_shape(shape)
        sizes[name] = min(shape[1:])
    convolutions = [
        name for name, layer in net.body.items() if any(isinstance(each, Conv | SeparableConv) for each in walk(layer))
    ]
    candidates = convolutions or list(net.body)
    large = [name for name in candidates if sizes[name] >= MIN_MAP_SIZE]
    return large[-1] if large else max(reversed(candidates), key=lambda name: sizes[name])


def split_at(model: Model, layer: str | None) -> nn.Sequential:
    """The layers after `layer` of the body: from its map to the logits. With None, all layers. Raises TableError for a
    layer that the body does not have."""
    body = model.net.body
    if layer is not None and layer not in body:
        raise TableError(
            f"Cannot see layer {layer!r}, which the body of {model.net.name} does not have: {did_you_mean(layer, body)}"
        )
    first = 0 if layer is None else list(body).index(layer) + 1
    return nn.Sequential(OrderedDict([*model.body.named_children(), *model.head.named_children()][first:]))


def activations(model: Model, layer: str | None, x: Tensor) -> Tensor:
    """The map of `layer`, or with None the input itself: [N, C, h, w]. Raises TableError for a layer without a map."""
    if layer is None:
        return x
    (maps,) = model.forward_intermediates(x, [layer], stop_early=True, intermediates_only=True)
    if maps.ndim < 4:
        raise TableError(f"Cannot explain layer {layer!r}: a fully connected layer has no map. Try a layer before it.")
    return maps


@contextmanager
def eval_with_gradients(model: Model) -> Iterator[None]:
    """Within this context the network runs in evaluation mode and float32, with gradients, regardless of the caller."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield
