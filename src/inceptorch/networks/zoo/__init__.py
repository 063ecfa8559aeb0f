"""The networks, one file per paper. `get_network` finds one by name, and also reads a table of one's own."""

from fnmatch import fnmatchcase

from inceptorch.errors import TableError, did_you_mean
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import SUFFIXES, read_table
from inceptorch.networks.transforms import for_small_images, for_tiny_images
from inceptorch.networks.zoo import baselines, bn_inception, googlenet, inception_v3, inception_v4, small

_PAPERS = (googlenet, bn_inception, inception_v3, inception_v4, baselines, small)
NETS: dict[str, NetworkSpec] = {net.name: net for paper in _PAPERS for net in paper.NETWORKS}
# For each that the papers train; the others differ in what a small image does not show.
_WITH_SMALL = (
    "googlenet_bn bn_inception inception_v3 inception_v4 inception_resnet_v1 inception_resnet_v2 alexnet vgg16 nin"
)
for _net in (*(for_small_images(NETS[name]) for name in _WITH_SMALL.split()), for_tiny_images(NETS["googlenet_bn"])):
    NETS[_net.name] = _net


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
