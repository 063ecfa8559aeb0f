"""GoogLeNet: Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842, Table 1 and Figures 2 and 3.

Paddings, pooling that rounds up, the constants of local response normalization and the dense 7x7 stem are those of the
BVLC replication in Caffe, whose published weights fit this table.
"""

from collections.abc import Callable
from dataclasses import replace

from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    BatchNorm,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Layer,
    Linear,
    Pool,
    SeparableConv,
)
from inceptorch.networks.network import NetworkSpec


def block(c1: int, c3r: int, c3: int, c5r: int, c5: int, proj: int, five: int = 5) -> Fork:
    """An Inception module, Figure 2(b); the arguments are Table 1's columns in Table 1's order."""
    return Fork(Conv(c1), (Conv(c3r), Conv(c3, 3)), (Conv(c5r), Conv(c5, five)), (Pool("max"), Conv(proj)))


def naive_block(c1: int, _c3r: int, c3: int, _c5r: int, c5: int, _proj: int) -> Fork:
    """The module without 1x1 reductions, Figure 2(a): pooling passes all its channels on."""
    return Fork(Conv(c1), Conv(c3, 3), Conv(c5, 5), Pool("max"))


def block_of_3x3(c1: int, c3r: int, c3: int, c5r: int, c5: int, proj: int) -> Fork:
    return block(c1, c3r, c3, c5r, c5, proj, five=3)


def table_1(block: Callable[[int, int, int, int, int, int], Layer]) -> dict[str, Layer]:
    """Table 1 with its modules made by `block`."""
    return {
        "conv1": Conv(64, 7, 2),
        "pool1": Pool("max", 3, 2, "ceil"),
        "norm1": LRN(),
        "conv2": (Conv(64), Conv(192, 3)),
        "norm2": LRN(),
        "pool2": Pool("max", 3, 2, "ceil"),
        #           #1x1 3x3r  3x3 5x5r  5x5 proj
        "3a": block(64, 96, 128, 16, 32, 32),
        "3b": block(128, 128, 192, 32, 96, 64),
        "pool3": Pool("max", 3, 2, "ceil"),
        "4a": block(192, 96, 208, 16, 48, 64),
        "4b": block(160, 112, 224, 24, 64, 64),
        "4c": block(128, 128, 256, 24, 64, 64),
        "4d": block(112, 144, 288, 32, 64, 64),
        "4e": block(256, 160, 320, 32, 128, 128),
        "pool4": Pool("max", 3, 2, "ceil"),
        "5a": block(256, 160, 320, 32, 128, 128),
        "5b": block(384, 192, 384, 48, 128, 128),
    }


GOOGLENET = NetworkSpec(
    "googlenet",
    title="GoogLeNet as printed: true 5x5, local response normalization, no batch norm",
    source="arXiv:1409.4842 Table 1",
    size=224,
    body=table_1(block),
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.4)},
    aux=("4a", "4d"),
    aux_head={
        "avgpool": Pool("avg", 5, 3, "valid"),
        "conv": Conv(128),
        "fc": Linear(1024),
        "dropout": Dropout(0.7),
    },
)

# The printed costs of the first row are those of a separable convolution; arXiv:1502.03167's appendix says so.
GOOGLENET_SEPARABLE = replace(
    GOOGLENET,
    name="googlenet_separable",
    title="Table 1 as the paper counted it: the 7x7 stem separable, with multiplier 8",
    source="arXiv:1409.4842 Table 1, stem after arXiv:1502.03167 appendix",
    body={**GOOGLENET.body, "conv1": SeparableConv(64, 7, 2, multiplier=8)},
)

GOOGLENET_RELEASED = replace(
    GOOGLENET,
    name="googlenet_released",
    title="the widths of Google's released weights: 4a has 204 3x3, 5a 48 5x5 reductions",
    source="arXiv:1409.4842 Table 1, two widths as in the released weights",
    body={**GOOGLENET.body, "4a": block(192, 96, 204, 16, 48, 64), "5a": block(256, 160, 320, 48, 128, 128)},
)

# Batch normalization takes the place of local response normalization, as in arXiv:1502.03167 section 4.2.1.
GOOGLENET_BN = replace(
    GOOGLENET,
    name="googlenet_bn",
    title="GoogLeNet's rows with batch normalization: the one to train from scratch today",
    source="arXiv:1409.4842 Table 1, with batch norm after arXiv:1502.03167",
    body={name: layer for name, layer in GOOGLENET.body.items() if not isinstance(layer, LRN)},
    norm=BatchNorm(),
)

# What torchvision's weights need, and TF-slim's, whose first convolution pads one pixel elsewhere.
GOOGLENET_TV = replace(
    GOOGLENET_BN,
    name="googlenet_tv",
    title="torchvision's and TF-slim's GoogLeNet: batch norm, 3x3 where the paper has 5x5",
    source="arXiv:1409.4842 Table 1, as torchvision and TF-slim changed it",
    body={name: layer for name, layer in table_1(block_of_3x3).items() if name in GOOGLENET_BN.body}
    | {"pool4": Pool("max", 2, 2, "ceil")},
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.2)},
    aux_head={**(GOOGLENET.aux_head or {}), "avgpool": AdaptiveAverage(4)},
)

GOOGLENET_NAIVE = replace(
    GOOGLENET,
    name="googlenet_naive",
    title="Figure 2(a)'s modules in Table 1's widths: what the 1x1 reductions save",
    source="arXiv:1409.4842 Figure 2(a) and Table 1",
    body=table_1(naive_block),
)

# The paper gives no widths for what average pooling replaced; 1024 is what its auxiliary heads have.
GOOGLENET_FC = replace(
    GOOGLENET,
    name="googlenet_fc",
    title="a fully connected layer instead of average pooling",
    source="arXiv:1409.4842 section 5, width after its auxiliary heads",
    head={"fc": Linear(1024), "dropout": Dropout(0.4)},
)

NETWORKS = (
    GOOGLENET, GOOGLENET_SEPARABLE, GOOGLENET_RELEASED, GOOGLENET_BN, GOOGLENET_TV, GOOGLENET_NAIVE, GOOGLENET_FC,
)  # fmt: skip
