"""Networks of our own for small images: Inception modules, few and wide, of what a processor computes fast.

A processor computes a 3x3 convolution of 64 channels and more at twice to four times the rate of a 1x1 one, and a 3x3
maximum of stride 1 costs half of a 3x3 convolution (docs/speed.md). So there are few 1x1 convolutions and no pooling
branch.
"""

from inceptorch.networks.layers import BatchNorm, Conv, Fork, GlobalAverage, Layer, Pool, Whitening
from inceptorch.networks.network import NetworkSpec


def module(c1: int, c3: int, c5: int) -> Layer:
    """1x1, 3x3, and two 3x3 that see what a 5x5 sees (arXiv:1512.00567 Figure 5), on the whole input."""
    return Fork(Conv(c1), Conv(c3, 3), (Conv(c5, 3), Conv(c5, 3)))


INCEPTION_SMALL = NetworkSpec(
    "inception_small",
    title="few, wide Inception modules behind fixed whitening filters, for images of 24 to 64 pixels",
    source="this project; stem and pooling after airbench (arXiv:2404.00498)",
    size=32,
    body={
        "whitening": Whitening(),
        "1a": Conv(64, 3),
        "pool1": Pool("max", 2, 2, "valid"),
        "1b": Conv(64, 3),
        "2a": Conv(256, 3),
        "pool2": Pool("max", 2, 2, "valid"),
        "2b": Conv(256, 3),
        "3a": Conv(256, 3),
        "pool3": Pool("max", 2, 2, "valid"),
        "3b": Conv(256, 3),
    },
    head={"avgpool": GlobalAverage()},
    norm=BatchNorm(momentum=0.4),
)

NETWORKS = (INCEPTION_SMALL,)
