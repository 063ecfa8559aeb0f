"""The kinds of layers, one file each. A new kind is a file beside these, imported here."""

from inceptorch.networks.layers.average import AdaptiveAverage, GlobalAverage
from inceptorch.networks.layers.base import (
    KINDS,
    BaseLayer,
    Layer,
    Layers,
    Sequence,
    Shape,
    TooSmallError,
    as_layer,
    as_printed,
    map_layers,
    walk,
)
from inceptorch.networks.layers.batch_norm import BatchNorm
from inceptorch.networks.layers.conv import Conv, SeparableConv
from inceptorch.networks.layers.dropout import Dropout
from inceptorch.networks.layers.fork import Fork
from inceptorch.networks.layers.linear import Linear
from inceptorch.networks.layers.lrn import LRN
from inceptorch.networks.layers.pool import Pool, counting_pad
from inceptorch.networks.layers.residual import Residual
from inceptorch.networks.layers.window import Kernel, Padding, Window

__all__ = [
    "KINDS",
    "LRN",
    "AdaptiveAverage",
    "BaseLayer",
    "BatchNorm",
    "Conv",
    "Dropout",
    "Fork",
    "GlobalAverage",
    "Kernel",
    "Layer",
    "Layers",
    "Linear",
    "Padding",
    "Pool",
    "Residual",
    "SeparableConv",
    "Sequence",
    "Shape",
    "TooSmallError",
    "Window",
    "as_layer",
    "as_printed",
    "counting_pad",
    "map_layers",
    "walk",
]
