"""Networks of our own for small images: Inception modules, few and wide, of what a processor computes fast.

A processor computes a 3x3 convolution of 64 channels and more at twice to four times the rate of a 1x1 one, and a 3x3
maximum of stride 1 costs half of a 3x3 convolution (docs/speed.md). So there are few 1x1 convolutions and no pooling
branch.
"""

from inceptorch.networks.layers import BatchNorm, Conv, Fork, GlobalAverage, Pool, Whitening
from inceptorch.networks.network import NetworkSpec


def module(c1: int, c3: int) -> Fork:
    """1x1 and 3x3 side by side on the whole input."""
    return Fork(Conv(c1), Conv(c3, 3))


INCEPTION_32 = NetworkSpec(
    "inception_32",
    title="few, wide Inception modules behind fixed whitening filters, for images of 24 to 64 pixels",
    source="this project; whitening and depth after airbench (arXiv:2404.00498)",
    size=32,
    body={
        "whitening": Whitening(),
        "conv1": Conv(64, 3),
        "pool1": Pool("max", 2, 2, "valid"),
        "1a": module(16, 64),
        "2a": module(64, 224),
        "pool2": Pool("max", 2, 2, "valid"),
        "2b": module(96, 224),
        "3a": module(96, 224),
        "pool3": Pool("max", 2, 2, "valid"),
        "3b": module(128, 320),
    },
    head={"avgpool": GlobalAverage()},
    norm=BatchNorm(momentum=0.4),
)

NETWORKS = (INCEPTION_32,)
