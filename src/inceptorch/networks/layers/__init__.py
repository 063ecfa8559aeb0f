"""The kinds of layers. A new kind is a file beside these, imported here."""

from inceptorch.networks.layers.base import (
    FLATTEN,
    KINDS,
    BaseLayer,
    BatchNorm,
    Layer,
    Layers,
    Sequence,
    Shape,
    TooSmallError,
    as_layer,
    as_printed,
    changed_values,
    map_layers,
    plain,
    prefixed,
    walk,
)
from inceptorch.networks.layers.conv import Conv, SeparableConv
from inceptorch.networks.layers.field import Field, Span
from inceptorch.networks.layers.fork import Fork, Residual
from inceptorch.networks.layers.linear import Dropout, Linear
from inceptorch.networks.layers.lrn import LRN
from inceptorch.networks.layers.pool import AdaptiveAverage, GlobalAverage, GlobalMax, Pool, counting_pad
from inceptorch.networks.layers.whitening import Whitening
from inceptorch.networks.layers.window import Kernel, Padding, Window

__all__ = [
    "FLATTEN", "KINDS", "LRN", "AdaptiveAverage", "BaseLayer", "BatchNorm", "Conv", "Dropout", "Field", "Fork",
    "GlobalAverage", "GlobalMax", "Kernel", "Layer", "Layers", "Linear", "Padding", "Pool", "Residual", "SeparableConv",
    "Sequence", "Shape", "Span", "TooSmallError", "Whitening", "Window", "as_layer", "as_printed", "changed_values",
    "counting_pad", "map_layers", "plain", "prefixed", "walk",
]  # fmt: skip
