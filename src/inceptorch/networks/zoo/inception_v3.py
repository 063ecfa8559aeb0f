"""Inception v2 and v3: Szegedy et al., "Rethinking the Inception Architecture", arXiv:1512.00567.

The paper draws the modules and prints the grid (Table 1), not the widths. Widths and layer names are those of the
weights that Google released.
"""

from dataclasses import replace
from typing import Literal

from inceptorch.networks.layers import (
    BatchNorm,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Layer,
    Pool,
    counting_pad,
    map_layers,
)
from inceptorch.networks.network import NetworkSpec


def block_a(proj: int) -> Fork:
    """35x35, Figure 5; the released network keeps a 5x5 where the figure has one 3x3."""
    return Fork(Conv(64), (Conv(48), Conv(64, 5)), (Conv(64), Conv(96, 3), Conv(96, 3)), (Pool("avg"), Conv(proj)))


def block_b(c7: int) -> Fork:
    """17x17, Figure 6: nxn factorized into 1xn and nx1, n = 7."""
    return Fork(
        Conv(192),
        (Conv(c7), Conv(c7, (1, 7)), Conv(192, (7, 1))),
        (Conv(c7), Conv(c7, (7, 1)), Conv(c7, (1, 7)), Conv(c7, (7, 1)), Conv(192, (1, 7))),
        (Pool("avg"), Conv(192)),
    )


def block_c(pool: Literal["avg", "max"] = "avg") -> Fork:
    """8x8, Figure 7: the filter bank expanded by outputs side by side."""
    return Fork(
        Conv(320),
        (Conv(384), Fork(Conv(384, (1, 3)), Conv(384, (3, 1)))),
        (Conv(448), Conv(384, 3), Fork(Conv(384, (1, 3)), Conv(384, (3, 1)))),
        (Pool(pool), Conv(192)),
    )


# Figure 10: convolution and pooling of stride 2 side by side.
REDUCTION_A = Fork(
    Conv(384, 3, 2, "valid"), (Conv(64), Conv(96, 3), Conv(96, 3, 2, "valid")), Pool("max", 3, 2, "valid")
)
REDUCTION_B = Fork(
    (Conv(192), Conv(320, 3, 2, "valid")),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, "valid")),
    Pool("max", 3, 2, "valid"),
)

STEM: dict[str, Layer] = {
    "conv1a": Conv(32, 3, 2, "valid"),
    "conv2a": Conv(32, 3, 1, "valid"),
    "conv2b": Conv(64, 3),
    "pool3a": Pool("max", 3, 2, "valid"),
    "conv3b": Conv(80),
    "conv4a": Conv(192, 3, 1, "valid"),
    "pool5a": Pool("max", 3, 2, "valid"),
}
MODULES: dict[str, Layer] = {
    "5b": block_a(32),
    "5c": block_a(64),
    "5d": block_a(64),
    "6a": REDUCTION_A,
    "6b": block_b(128),
    "6c": block_b(160),
    "6d": block_b(160),
    "6e": block_b(192),
    "7a": REDUCTION_B,
    "7b": block_c(),
    "7c": block_c(),
}

INCEPTION_V3 = NetworkSpec(
    "inception_v3",
    title="Inception-v3 as Google released it",
    source="arXiv:1512.00567, widths of the released weights",
    size=299,
    body={**STEM, **MODULES},
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.2)},
    aux=("6e",),
    aux_head={
        "avgpool": Pool("avg", 5, 3, "valid"),
        "conv0": Conv(128),
        "conv1": Conv(768, 5, 1, "valid"),
        "mean": GlobalAverage(),
    },
    norm=BatchNorm(),
)

# Section 8: lower resolution at about the same cost, through the stem alone.
INCEPTION_V3_151 = replace(
    INCEPTION_V3,
    name="inception_v3_151",
    title="Inception-v3 for images of 151 pixels: the first convolution has stride 1",
    source="arXiv:1512.00567 section 8",
    size=151,
    body={**INCEPTION_V3.body, "conv1a": Conv(32, 3, 1, "valid")},
)
INCEPTION_V3_79 = replace(
    INCEPTION_V3_151,
    name="inception_v3_79",
    title="Inception-v3 for images of 79 pixels: stride 1, and no pooling behind it",
    size=79,
    body={name: layer for name, layer in INCEPTION_V3_151.body.items() if name != "pool3a"},
)


# The port of the weights to PyTorch lets the averages count the padding.
INCEPTION_V3_TV = replace(
    INCEPTION_V3,
    name="inception_v3_tv",
    title="torchvision's and timm's Inception-v3: averages count the padding",
    source="arXiv:1512.00567, as torchvision and timm run it",
    body={name: map_layers(layer, counting_pad) for name, layer in INCEPTION_V3.body.items()},
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.5)},
)
INCEPTION_V3_FID = replace(
    INCEPTION_V3,
    name="inception_v3_fid",
    title="the Inception-v3 that FID is measured with: a maximum in 7c's pooling branch",
    source="arXiv:1512.00567, as in the weights of 2015-12-05",
    body={**INCEPTION_V3.body, "7c": block_c("max")},
)

# Table 1 as printed: its stem was not released, and all three modules at 35x35 have 288 channels. The auxiliary head is
# not yet batch-normalized; that was Table 3's last step.
INCEPTION_V2 = replace(
    INCEPTION_V3,
    name="inception_v2",
    title="Table 1 as printed: strided convolutions where the released stem pools",
    source="arXiv:1512.00567 Table 1",
    body={
        "conv1": Conv(32, 3, 2, "valid"),
        "conv2": Conv(32, 3, 1, "valid"),
        "conv3": Conv(64, 3),
        "pool": Pool("max", 3, 2, "valid"),
        "conv4": Conv(80, 3, 1, "valid"),
        "conv5": Conv(192, 3, 2, "valid"),
        "conv6": Conv(288, 3),
        **MODULES,
        "5b": block_a(64),
    },
    aux_head={
        "avgpool": Pool("avg", 5, 3, "valid"),
        "conv0": Conv(128, norm=False),
        "conv1": Conv(768, 5, 1, "valid", norm=False),
        "mean": GlobalAverage(),
    },
)
INCEPTION_V2_7X7 = replace(
    INCEPTION_V2,
    name="inception_v2_7x7",
    title="before Table 3's step 'factorized 7x7': GoogLeNet's stem",
    source="arXiv:1512.00567 Table 3, stem after arXiv:1409.4842",
    body={
        "conv1": Conv(64, 7, 2, "valid"),
        "pool1": Pool("max", 3, 2, "valid"),
        "conv2": (Conv(64), Conv(192, 3, 1, "valid")),
        "pool2": Pool("max", 3, 2, "valid"),
        **MODULES,
        "5b": block_a(64),
    },
)
INCEPTION_V2_BN_AUX = replace(
    INCEPTION_V2,
    name="inception_v2_bn_aux",
    title="Table 3's last step: the auxiliary head batch-normalized; what the paper calls Inception-v3",
    source="arXiv:1512.00567 Table 1 and Figure 8",
    aux_head=INCEPTION_V3.aux_head,
)

NETWORKS = (
    INCEPTION_V2_7X7, INCEPTION_V2, INCEPTION_V2_BN_AUX,
    INCEPTION_V3, INCEPTION_V3_151, INCEPTION_V3_79, INCEPTION_V3_TV, INCEPTION_V3_FID,
)  # fmt: skip
