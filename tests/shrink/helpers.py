"""A small network with every kind of reader, and images in memory."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier import Classifier
from inceptorch.data import Split
from inceptorch.images.preprocessing import ImageArray, Preprocessing
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.layers import BatchNorm, Conv, Dropout, Fork, GlobalAverage, Linear, Pool, Residual
from inceptorch.networks.network import NetworkSpec
from inceptorch.shrink.channels import ChannelGraph, channel_graph
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)
SIZE = 16

# 1x1, 3x3 with padding and without, a projection behind either pool, channels that a pool passes on, the inside of a
# residual module, a pool before normalization, a stride, and the average before the classifier.
MIXED = NetworkSpec(
    "mixed",
    title="every reader",
    source="these tests",
    size=SIZE,
    body={
        "conv1": Conv(12, 3),
        "pool1": Pool("max", 3, 2),
        "mix": Fork(
            Conv(8),
            (Conv(10), Conv(12, 3)),
            (Pool("max"), Conv(8)),
            (Pool("avg"), Conv(6)),
            Pool("avg", count_pad=True),
        ),
        "valid": Conv(16, 3, 1, "valid", pool=2),
        "add": Residual((Fork(Conv(8), (Conv(8), Conv(8, (1, 3)))), Conv(16, norm=False, relu=False)), 0.5),
        "reduce": Fork((Conv(8), Conv(12, 3, 2)), Pool("max", 3, 2)),
        "last": Conv(20),
    },
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.2)},
    aux=("mix",),
    aux_head={"avgpool": GlobalAverage()},
    norm=BatchNorm(),
)
# A fully connected layer on a map, and one on that.
CONNECTED = NetworkSpec(
    "connected",
    title="fully connected layers",
    source="these tests",
    size=SIZE,
    body={"conv1": Conv(12, 3, 4), "conv2": Conv(10, 3)},
    head={"fc": Linear(16), "drop": Dropout(0.5), "fc2": Linear(12)},
)


class Images:
    """Images in memory with labels, as a split has them."""

    def __init__(self, count: int, size: int = SIZE):
        self.images = random_images(size, count)
        self.labels: NDArray[np.int32] = np.arange(count, dtype=np.int32) % 3

    def __len__(self) -> int:
        return len(self.images)

    def crop(self, index: int, pixels: Preprocessing) -> ImageArray:
        crop: ImageArray = self.images[index]
        return crop


def images(count: int, size: int = SIZE) -> Split:
    return cast(Split, Images(count, size))


def graph_of(classifier: Classifier) -> ChannelGraph:
    config, size = classifier.config, classifier.preprocessing.size
    return channel_graph(config.network, (classifier.model.in_chans, size, size), len(config.classes))


def make_proportional(classifier: Classifier, graph: ChannelGraph, at: str, factor: float = 1.7) -> None:
    """Make channel 1 of a layer `factor` times its channel 0."""
    state = classifier.model.state_dict()
    mine = [name for name in state if name.rpartition(".")[0].startswith(at) and state[name].ndim]
    mine = [name for name in mine if name.startswith((f"{at}.conv", f"{at}.bn", f"{at}.linear"))]
    norm = any(".bn." in name for name in mine)
    scaled = [name for name in mine if name.endswith((".bn.weight", ".bn.bias"))] if norm else mine
    for name in mine:
        state[name][1] = state[name][0]
    for name in scaled:
        state[name][1] *= factor
