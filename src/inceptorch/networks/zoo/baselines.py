"""The networks that the papers compare themselves with."""

from inceptorch.networks.layers import LRN, Conv, Dropout, GlobalAverage, Linear, Pool
from inceptorch.networks.network import NetworkSpec

# Two groups in conv2, conv4 and conv5: the halves of the network on two GPUs. Pooling after normalization, 227 pixels.
ALEXNET = NetworkSpec(
    "alexnet",
    title="AlexNet with its groups",
    source="Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.5",
    size=227,
    body={
        "conv1": Conv(96, 11, 4, "valid"),
        "norm1": LRN(),
        "pool1": Pool("max", 3, 2, "ceil"),
        "conv2": Conv(256, 5, groups=2),
        "norm2": LRN(),
        "pool2": Pool("max", 3, 2, "ceil"),
        "conv3": Conv(384, 3),
        "conv4": Conv(384, 3, groups=2),
        "conv5": Conv(256, 3, groups=2),
        "pool5": Pool("max", 3, 2, "ceil"),
    },
    head={"fc6": Linear(4096), "drop6": Dropout(0.5), "fc7": Linear(4096), "drop7": Dropout(0.5)},
)

VGG16 = NetworkSpec(
    "vgg16",
    title="VGG with 16 layers",
    source="arXiv:1409.1556 Table 1, column D",
    size=224,
    body={
        "conv1": (Conv(64, 3), Conv(64, 3)),
        "pool1": Pool("max", 2, 2, "valid"),
        "conv2": (Conv(128, 3), Conv(128, 3)),
        "pool2": Pool("max", 2, 2, "valid"),
        "conv3": (Conv(256, 3), Conv(256, 3), Conv(256, 3)),
        "pool3": Pool("max", 2, 2, "valid"),
        "conv4": (Conv(512, 3), Conv(512, 3), Conv(512, 3)),
        "pool4": Pool("max", 2, 2, "valid"),
        "conv5": (Conv(512, 3), Conv(512, 3), Conv(512, 3)),
        "pool5": Pool("max", 2, 2, "valid"),
    },
    head={"fc6": Linear(4096), "drop6": Dropout(0.5), "fc7": Linear(4096), "drop7": Dropout(0.5)},
)

# The paper's last layer makes a map per class and averages each. The average of a linear map is the linear map of the
# average, so the layer to the classes stands behind the pooling here; the ReLU on the scores is left out.
NIN = NetworkSpec(
    "nin",
    title="Network in Network, in the widths of the Caffe model zoo's ImageNet weights",
    source="arXiv:1312.4400, widths of the Caffe model zoo",
    size=224,
    body={
        "conv1": Conv(96, 11, 4, "valid"),
        "cccp1": (Conv(96), Conv(96)),
        "pool1": Pool("max", 3, 2, "ceil"),
        "conv2": Conv(256, 5),
        "cccp2": (Conv(256), Conv(256)),
        "pool2": Pool("max", 3, 2, "ceil"),
        "conv3": Conv(384, 3),
        "cccp3": (Conv(384), Conv(384)),
        "pool3": Pool("max", 3, 2, "ceil"),
        "dropout": Dropout(0.5),
        "conv4": Conv(1024, 3),
        "cccp4": Conv(1024),
    },
    head={"avgpool": GlobalAverage()},
)

NETWORKS = (ALEXNET, VGG16, NIN)
