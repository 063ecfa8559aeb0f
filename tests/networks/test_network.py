"""A network as a table of named layers."""

from inceptorch.networks.network import stem
from inceptorch.networks.zoo import NETS


def test_the_stem_is_what_stands_before_the_first_module() -> None:
    names = ("googlenet", "googlenet_bn", "inception_v3", "inception_v4", "vgg16")
    assert {name: stem(NETS[name]) for name in names} == {
        "googlenet": 6, "googlenet_bn": 4, "inception_v3": 7, "inception_v4": 3, "vgg16": 0
    }  # fmt: skip
