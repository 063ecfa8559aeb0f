"""Rules that make another network of a network."""

from dataclasses import replace
from importlib.resources import files

import pytest
import yaml

from inceptorch.errors import TableError
from inceptorch.networks.complexity import check_size, count_complexity
from inceptorch.networks.layers import Conv, Linear
from inceptorch.networks.transforms import narrowed
from inceptorch.networks.zoo import NETS, get_network
from inceptorch.networks.zoo.googlenet import block

PAPER = yaml.safe_load((files("inceptorch.networks.zoo") / "papers" / "googlenet.yaml").read_text(encoding="utf-8"))


TABLE_1 = [dict(zip(PAPER["tables"][0]["columns"], row, strict=True)) for row in PAPER["tables"][0]["rows"]]


@pytest.mark.parametrize("name", [name for name in NETS if name.endswith("_small")])
def test_small_variants_serve_images_of_28_to_96_pixels(name: str) -> None:
    for size in (28, 32, 64, 96):
        if (name, size) == ("vgg16_small", 28):  # halved five times, 28 pixels are none
            continue
        check_size(NETS[name], size)
    # The rule changes the first convolution's window and nothing else that has parameters.
    whole = {"googlenet_small": "googlenet_bn"}.get(name, name.removesuffix("_small"))
    (_, *small), (_, *large) = (
        count_complexity(name, 96).layers,
        count_complexity(whole, 128 if whole == "alexnet" else None).layers,
    )
    for row, other in zip(small, large, strict=True):
        assert row.params == other.params or row.name == "fc6"  # which depends on the size


def test_narrowed_multiplies_all_widths_and_rounds_them_to_eights() -> None:
    half = narrowed(get_network("googlenet_fc"), 0.5)
    assert half.body["3a"] == block(32, 48, 64, 8, 16, 16)
    assert half.body["conv2"] == (Conv(32), Conv(96, 3))
    assert half.head["fc"] == Linear(512)
    assert half.aux_head is not None
    assert (half.aux_head["conv"], half.aux_head["fc"]) == (Conv(64), Linear(512))
    assert narrowed(get_network("googlenet"), 0.001).body["4e"] == block(8, 8, 8, 8, 8, 8)
    assert narrowed(get_network("googlenet"), 0.5, 4).body["4b"] == block(80, 56, 112, 12, 32, 32)
    conv = get_network("alexnet").body["conv2"]
    assert isinstance(conv, Conv)
    assert narrowed(get_network("alexnet"), 0.3).body["conv2"] == replace(conv, out=80)
    whole = narrowed(get_network("googlenet"), 1)
    assert count_complexity(whole).layers == count_complexity("googlenet").layers


def test_narrowed_refuses_what_it_would_break() -> None:
    with pytest.raises(TableError, match="adds what its modules compute"):
        narrowed(get_network("inception_resnet_v1"), 0.5)
    for factor in (0, -1, float("inf"), float("nan")):
        with pytest.raises(TableError, match="above 0"):
            narrowed(get_network("googlenet"), factor)
