"""The networks, one file per paper. A network is looked up by name with `net`."""

from inceptorch.errors import TableError, did_you_mean
from inceptorch.nets.googlenet import GOOGLENET, GOOGLENET_BN, GOOGLENET_SMALL
from inceptorch.spec import Net

NETS = {net.name: net for net in (GOOGLENET, GOOGLENET_BN, GOOGLENET_SMALL)}


def net(name: str) -> Net:
    """The table of the network called `name`. Raises TableError for an unknown name."""
    if name not in NETS:
        raise TableError(f"There is no network {name!r}: {did_you_mean(name, NETS)}")
    return NETS[name]
