"""Networks of our own for small images: Inception modules, few and wide, of what a processor computes fast.

A processor computes a 3x3 convolution of 64 channels and more at twice the rate of a 1x1 one, and a 3x3 maximum of
stride 1 takes half the time of a 3x3 convolution. So modules of 1x1 and 3x3, without pooling, alternate with plain 3x3
layers.
"""

from inceptorch.networks.layers import BatchNorm, Conv, Fork, GlobalMax, Whitening
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
        "1a": Conv(64, 3, pool=2),
        "1b": module(16, 48),
        "2a": Conv(256, 3, pool=2),
        "2b": module(64, 208),
        "3a": Conv(256, 3, pool=2),
        "3b": module(96, 256),
    },
    head={"maxpool": GlobalMax()},
    norm=BatchNorm(momentum=0.4),
)

NETWORKS = (INCEPTION_32,)
