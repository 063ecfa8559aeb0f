"""GoogLeNet: Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842, Table 1 and Figures 2(b) and 3.

Paddings, pooling that rounds up, the constants of local response normalisation and the dense 7x7 stem are those of the
BVLC replication in Caffe, whose published weights fit this table.
"""

from dataclasses import replace

from inceptorch.spec import LRN, BatchNorm, Conv, Dropout, Fork, GlobalAverage, Linear, Net, Pool


def block(c1: int, c3r: int, c3: int, c5r: int, c5: int, proj: int) -> Fork:
    """An Inception module, Figure 2(b); the arguments are Table 1's columns in Table 1's order."""
    return Fork(Conv(c1), (Conv(c3r), Conv(c3, 3)), (Conv(c5r), Conv(c5, 5)), (Pool("max"), Conv(proj)))


GOOGLENET = Net(
    "googlenet",
    title="GoogLeNet as printed: true 5x5, local response normalisation, no batch norm",
    source="arXiv:1409.4842 Table 1",
    size=224,
    body={
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
    },
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.4)},
    aux=("4a", "4d"),
    aux_head={
        "avgpool": Pool("avg", 5, 3, "valid"),
        "conv": Conv(128),
        "fc": Linear(1024),
        "dropout": Dropout(0.7),
    },
)

# Batch normalisation takes the place of local response normalisation, as in arXiv:1502.03167 section 4.2.1.
GOOGLENET_BN = replace(
    GOOGLENET,
    name="googlenet_bn",
    title="GoogLeNet's rows with batch normalisation: the one to train from scratch today",
    source="arXiv:1409.4842 Table 1, with batch norm after arXiv:1502.03167",
    body={name: row for name, row in GOOGLENET.body.items() if not isinstance(row, LRN)},
    norm=BatchNorm(),
)


def for_small_pictures(net: Net, size: int = 32) -> Net:
    """The same rows for pictures of 28 to 96 pixels: the first convolution becomes 3x3 with stride 1.

    arXiv:1512.00567 section 8 adapts to low resolution in this way, through the strides of the stem alone. Auxiliary
    heads go, because their 5x5 pooling does not fit the maps of so small a picture.
    """
    stem, *rest = net.body.items()
    name, first = stem
    assert isinstance(first, Conv)
    return replace(
        net,
        name=net.name.removesuffix("_bn") + "_small",
        title=f"{net.name}'s rows behind a 3x3/1 stem, for pictures of 28 to 96 pixels",
        source=f"{net.source}; stem after arXiv:1512.00567 section 8",
        size=size,
        body={name: replace(first, kernel=3, stride=1), **dict(rest)},
        aux=(),
        aux_head=None,
    )


GOOGLENET_SMALL = for_small_pictures(GOOGLENET_BN)
