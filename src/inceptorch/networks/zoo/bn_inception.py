"""BN-Inception: Ioffe and Szegedy, "Batch Normalization", arXiv:1502.03167, Figure 5.

Rows 4c and 4d print 576 channels, but their branches sum to 608. Who took the branches at their word has 608 and 1056
channels from there on (Caffe's line); who took the sum has pool projections of 96 (TF-slim's line).
"""

from dataclasses import replace
from typing import Literal

from inceptorch.networks.layers import (
    BatchNorm,
    Conv,
    Fork,
    GlobalAverage,
    Padding,
    Pool,
    SeparableConv,
    counting_pad,
    map_layers,
)
from inceptorch.networks.network import NetworkSpec


def block(c1: int, c3r: int, c3: int, d3r: int, d3: int, pool: Literal["max", "avg"], proj: int) -> Fork:
    """An Inception module whose 5x5 became two 3x3; the arguments are Figure 5's columns in its order."""
    return Fork(Conv(c1), (Conv(c3r), Conv(c3, 3)), (Conv(d3r), Conv(d3, 3), Conv(d3, 3)), (Pool(pool), Conv(proj)))


def reduction(c3r: int, c3: int, d3r: int, d3: int, pad: Padding = "same") -> Fork:
    """A module of stride 2: no 1x1, and pooling that passes all its channels on."""
    return Fork((Conv(c3r), Conv(c3, 3, 2)), (Conv(d3r), Conv(d3, 3), Conv(d3, 3, 2)), Pool("max", 3, 2, pad))


BN_INCEPTION = NetworkSpec(
    "bn_inception",
    title="BN-Inception with the branches as printed: 608 and 1056 channels",
    source="arXiv:1502.03167 Figure 5",
    size=224,
    body={
        "conv1": SeparableConv(64, 7, 2, multiplier=8),
        "pool1": Pool("max", 3, 2, "ceil"),
        "conv2": (Conv(64), Conv(192, 3)),
        "pool2": Pool("max", 3, 2, "ceil"),
        #           #1x1 3x3r  3x3  d3r   d3  pool  proj
        "3a": block(64, 64, 64, 64, 96, "avg", 32),
        "3b": block(64, 64, 96, 64, 96, "avg", 64),
        "3c": reduction(128, 160, 64, 96),
        "4a": block(224, 64, 96, 96, 128, "avg", 128),
        "4b": block(192, 96, 128, 96, 128, "avg", 128),
        "4c": block(160, 128, 160, 128, 160, "avg", 128),
        "4d": block(96, 128, 192, 160, 192, "avg", 128),
        "4e": reduction(128, 192, 192, 256),
        "5a": block(352, 192, 320, 160, 224, "avg", 128),
        "5b": block(352, 192, 320, 192, 224, "max", 128),
    },
    head={"avgpool": GlobalAverage()},
    norm=BatchNorm(),
)

BN_INCEPTION_SLIM = replace(
    BN_INCEPTION,
    name="bn_inception_slim",
    title="BN-Inception with the sums as printed, 576 and 1024 channels: TF-slim's inception_v2",
    source="arXiv:1502.03167 Figure 5, pool projections of 4c and 4d after TF-slim",
    body={
        **BN_INCEPTION.body,
        "4c": block(160, 128, 160, 128, 160, "avg", 96),
        "4d": block(96, 128, 192, 160, 192, "avg", 96),
    },
)


# What Caffe's weights need: a dense stem, biases beside the normalization, averages that count the padding, and pooling
# without any, one pixel beside the strided convolutions, so that odd maps do not fit.
BN_INCEPTION_CAFFE = replace(
    BN_INCEPTION,
    name="bn_inception_caffe",
    title="Caffe's BN-Inception: dense stem, biases beside batch norm",
    source="arXiv:1502.03167 Figure 5, as the published Caffe weights changed it",
    body={
        **{name: map_layers(layer, counting_pad) for name, layer in BN_INCEPTION.body.items()},
        "conv1": Conv(64, 7, 2),
        "3c": reduction(128, 160, 64, 96, "ceil"),
        "4e": reduction(128, 192, 192, 256, "ceil"),
    },
    norm=BatchNorm(eps=1e-5, conv_bias=True),
)

NETWORKS = (BN_INCEPTION, BN_INCEPTION_SLIM, BN_INCEPTION_CAFFE)
