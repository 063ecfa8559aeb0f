"""The networks, one file per paper. A network is looked up with `get_network`, which also reads a table of one's own."""

from fnmatch import fnmatchcase

from inceptorch.errors import TableError, did_you_mean
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import SUFFIXES, read_table
from inceptorch.networks.transforms import for_small_images, for_tiny_images
from inceptorch.networks.zoo.baselines import ALEXNET, NIN, VGG16
from inceptorch.networks.zoo.bn_inception import BN_INCEPTION, BN_INCEPTION_CAFFE, BN_INCEPTION_SLIM
from inceptorch.networks.zoo.googlenet import (
    GOOGLENET,
    GOOGLENET_BN,
    GOOGLENET_FC,
    GOOGLENET_NAIVE,
    GOOGLENET_RELEASED,
    GOOGLENET_SEPARABLE,
    GOOGLENET_TV,
)
from inceptorch.networks.zoo.inception_v3 import (
    INCEPTION_V2,
    INCEPTION_V2_7X7,
    INCEPTION_V2_BN_AUX,
    INCEPTION_V3,
    INCEPTION_V3_79,
    INCEPTION_V3_151,
    INCEPTION_V3_FID,
    INCEPTION_V3_TV,
)
from inceptorch.networks.zoo.inception_v4 import (
    INCEPTION_RESNET_V1,
    INCEPTION_RESNET_V2,
    INCEPTION_RESNET_V2_RELEASED,
    INCEPTION_V4,
)

# For each that the papers train; the others differ in what a small image does not show.
WITH_SMALL = (
    GOOGLENET_BN,
    BN_INCEPTION,
    INCEPTION_V3,
    INCEPTION_V4,
    INCEPTION_RESNET_V1,
    INCEPTION_RESNET_V2,
    ALEXNET,
    VGG16,
    NIN,
)
NETS = {
    net.name: net
    for net in (
        GOOGLENET,
        GOOGLENET_SEPARABLE,
        GOOGLENET_RELEASED,
        GOOGLENET_BN,
        GOOGLENET_TV,
        GOOGLENET_NAIVE,
        GOOGLENET_FC,
        BN_INCEPTION,
        BN_INCEPTION_SLIM,
        BN_INCEPTION_CAFFE,
        INCEPTION_V2_7X7,
        INCEPTION_V2,
        INCEPTION_V2_BN_AUX,
        INCEPTION_V3,
        INCEPTION_V3_151,
        INCEPTION_V3_79,
        INCEPTION_V3_TV,
        INCEPTION_V3_FID,
        INCEPTION_V4,
        INCEPTION_RESNET_V1,
        INCEPTION_RESNET_V2,
        INCEPTION_RESNET_V2_RELEASED,
        ALEXNET,
        VGG16,
        NIN,
        *map(for_small_images, WITH_SMALL),
        for_tiny_images(GOOGLENET_BN),
    )
}


def get_network(name: str) -> NetworkSpec:
    """The network called `name`, or the table in the YAML file of that path. Raises TableError."""
    if name.lower().endswith(SUFFIXES):
        return read_table(name)
    if name not in NETS:
        raise TableError(f"There is no network {name!r}: {did_you_mean(name, NETS)}")
    return NETS[name]


def list_models(pattern: str = "*") -> list[str]:
    """The names of the networks that match `pattern`, in which * stands for anything."""
    return [name for name in NETS if fnmatchcase(name, pattern)]
