"""Inception-v4 and Inception-ResNet: Szegedy et al., arXiv:1602.07261, Figures 3 to 19 and Table 1.

"V" in the figures is "valid" padding. The last 1x1 of a residual module is linear and not normalized.
"""

from dataclasses import replace

from inceptorch.networks.layers import BatchNorm, Conv, Dropout, Fork, GlobalAverage, Layer, Pool, Residual
from inceptorch.networks.network import NetworkSpec

NARROW = Pool("max", 3, 2, "valid")


def numbered(name: str, count: int, layer: Layer) -> dict[str, Layer]:
    """The same layer `count` times: name1, name2, ..."""
    return {f"{name}{number}": layer for number in range(1, count + 1)}


# Figure 3, the stem of v4 and of Inception-ResNet-v2, to 35x35x384.
STEM: dict[str, Layer] = {
    "conv1a": Conv(32, 3, 2, "valid"),
    "conv2a": Conv(32, 3, 1, "valid"),
    "conv2b": Conv(64, 3),
    "3a": Fork(NARROW, Conv(96, 3, 2, "valid")),
    "4a": Fork(
        (Conv(64), Conv(96, 3, 1, "valid")),
        (Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, 1, "valid")),
    ),
    "5a": Fork(Conv(192, 3, 2, "valid"), NARROW),
}
# Figures 4 to 6
BLOCK_A = Fork(Conv(96), (Conv(64), Conv(96, 3)), (Conv(64), Conv(96, 3), Conv(96, 3)), (Pool("avg"), Conv(96)))
BLOCK_B = Fork(
    Conv(384),
    (Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))),
    (Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
    (Pool("avg"), Conv(128)),
)
BLOCK_C = Fork(
    Conv(256),
    (Conv(384), Fork(Conv(256, (1, 3)), Conv(256, (3, 1)))),
    (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), Fork(Conv(256, (1, 3)), Conv(256, (3, 1)))),
    (Pool("avg"), Conv(256)),
)


def reduction_a(k: int, l: int, m: int, n: int) -> Fork:  # noqa: E741 (the paper's letters)
    """35x35 to 17x17, Figure 7, with the filters of Table 1."""
    return Fork(Conv(n, 3, 2, "valid"), (Conv(k), Conv(l, 3), Conv(m, 3, 2, "valid")), NARROW)


INCEPTION_V4 = NetworkSpec(
    "inception_v4",
    title="Inception-v4",
    source="arXiv:1602.07261 Figure 9",
    size=299,
    body={
        **STEM,
        **dict.fromkeys(("5b", "5c", "5d", "5e"), BLOCK_A),
        "6a": reduction_a(192, 224, 256, 384),
        **dict.fromkeys(("6b", "6c", "6d", "6e", "6f", "6g", "6h"), BLOCK_B),
        "7a": Fork(  # Figure 8
            (Conv(192), Conv(192, 3, 2, "valid")),
            (Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2, "valid")),
            NARROW,
        ),
        **dict.fromkeys(("7b", "7c", "7d"), BLOCK_C),
    },
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.2)},
    norm=BatchNorm(),
)


def module_a(out: int, c2: int, c3: int, scale: float) -> Residual:
    """35x35, Figures 10 and 16: 1x1; 3x3; two 3x3."""
    branches = Fork(Conv(32), (Conv(32), Conv(32, 3)), (Conv(32), Conv(c2, 3), Conv(c3, 3)))
    return Residual((branches, Conv(out, norm=False, relu=False)), scale)


def module_b(out: int, c1: int, c7: tuple[int, int, int], scale: float) -> Residual:
    """17x17, Figures 11 and 17: 1x1; 1x7 and 7x1."""
    branches = Fork(Conv(c1), (Conv(c7[0]), Conv(c7[1], (1, 7)), Conv(c7[2], (7, 1))))
    return Residual((branches, Conv(out, norm=False, relu=False)), scale)


def module_c(out: int, c3: tuple[int, int, int], scale: float) -> Residual:
    """8x8, Figures 13 and 19: 1x1; 1x3 and 3x1."""
    branches = Fork(Conv(192), (Conv(c3[0]), Conv(c3[1], (1, 3)), Conv(c3[2], (3, 1))))
    return Residual((branches, Conv(out, norm=False, relu=False)), scale)


def reduction_b(c1: int, c2: int, c3: tuple[int, int]) -> Fork:
    """17x17 to 8x8, Figures 12 and 18."""
    return Fork(
        (Conv(256), Conv(c1, 3, 2, "valid")),
        (Conv(256), Conv(c2, 3, 2, "valid")),
        (Conv(256), Conv(c3[0], 3), Conv(c3[1], 3, 2, "valid")),
        NARROW,
    )


# The paper scales residuals by 0.1 to 0.3 without saying which; these are the released network's three.
SCALE_A, SCALE_B, SCALE_C = 0.17, 0.10, 0.20

INCEPTION_RESNET_V1 = NetworkSpec(
    "inception_resnet_v1",
    title="Inception-ResNet-v1 as drawn",
    source="arXiv:1602.07261 Figures 10 to 15",
    size=299,
    body={
        "conv1a": Conv(32, 3, 2, "valid"),  # Figure 14
        "conv2a": Conv(32, 3, 1, "valid"),
        "conv2b": Conv(64, 3),
        "pool3a": NARROW,
        "conv3b": Conv(80),
        "conv4a": Conv(192, 3, 1, "valid"),
        "conv4b": Conv(256, 3, 2, "valid"),
        **numbered("A", 5, module_a(256, 32, 32, SCALE_A)),
        "reduction_A": reduction_a(192, 192, 256, 384),
        **numbered("B", 10, module_b(896, 128, (128, 128, 128), SCALE_B)),
        "reduction_B": reduction_b(384, 256, (256, 256)),
        **numbered("C", 5, module_c(1792, (192, 192, 192), SCALE_C)),
    },
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.2)},
    norm=BatchNorm(),
)

# Figures 17 and 19 print 1154 and 2048 filters where 1152 and 2144 channels come in; a sum needs them equal.
INCEPTION_RESNET_V2 = replace(
    INCEPTION_RESNET_V1,
    name="inception_resnet_v2",
    title="Inception-ResNet-v2 as drawn",
    source="arXiv:1602.07261 Figures 3 and 15 to 19",
    body={
        **STEM,
        **numbered("A", 5, module_a(384, 48, 64, SCALE_A)),
        "reduction_A": reduction_a(256, 256, 384, 384),
        **numbered("B", 10, module_b(1152, 192, (128, 160, 192), SCALE_B)),
        "reduction_B": reduction_b(384, 288, (288, 320)),
        **numbered("C", 5, module_c(2144, (192, 224, 256), SCALE_C)),
    },
)

# Another stem, twice the modules, one module without scale and ReLU, and a last 1x1.
INCEPTION_RESNET_V2_RELEASED = replace(
    INCEPTION_RESNET_V2,
    name="inception_resnet_v2_released",
    title="Inception-ResNet-v2 as Google released it: another stem, twice the modules",
    source="arXiv:1602.07261, as in the released weights",
    body={
        "conv1a": Conv(32, 3, 2, "valid"),
        "conv2a": Conv(32, 3, 1, "valid"),
        "conv2b": Conv(64, 3),
        "pool3a": NARROW,
        "conv3b": Conv(80),
        "conv4a": Conv(192, 3, 1, "valid"),
        "pool5a": NARROW,
        "5b": Fork(Conv(96), (Conv(48), Conv(64, 5)), (Conv(64), Conv(96, 3), Conv(96, 3)), (Pool("avg"), Conv(64))),
        **numbered("A", 10, module_a(320, 48, 64, SCALE_A)),
        "6a": reduction_a(256, 256, 384, 384),
        **numbered("B", 20, module_b(1088, 192, (128, 160, 192), SCALE_B)),
        "7a": reduction_b(384, 288, (288, 320)),
        **numbered("C", 9, module_c(2080, (192, 224, 256), SCALE_C)),
        "C10": replace(module_c(2080, (192, 224, 256), 1.0), relu=False),
        "conv7b": Conv(1536),
    },
)

NETWORKS = (INCEPTION_V4, INCEPTION_RESNET_V1, INCEPTION_RESNET_V2, INCEPTION_RESNET_V2_RELEASED)
