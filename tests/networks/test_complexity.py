"""Shapes, parameters and multiply-adds."""

import re

import pytest
import torch

from inceptorch.errors import TableError
from inceptorch.models.module import Model
from inceptorch.networks.complexity import check_size, count_complexity, min_size, tensor_shapes
from inceptorch.networks.zoo import NETS, get_network
from inceptorch.networks.zoo.googlenet import GOOGLENET


@pytest.mark.parametrize("name", NETS)
def test_tensors_are_those_of_the_model(name: str) -> None:
    net = get_network(name)
    for aux, channels in ((False, 3), (True, 1)):
        with torch.device("meta"):
            state = Model(net, 7, channels, aux=aux, initialize=False).state_dict()
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        assert tensor_shapes(net, 7, channels, net.size, aux) == shapes


def test_networks_say_what_they_are_and_where_that_stands() -> None:
    """Only networks for other sizes of images have a source in common."""
    assert len({net.title for net in NETS.values()}) == len(NETS)
    sources = [net.source for net in NETS.values() if net.name not in ("inception_v3_79", "googlenet_tiny")]
    assert len(set(sources)) == len(sources)
    assert all(re.search(r"arXiv:\d{4}\.\d{4,5}|NIPS 2012", source) for source in sources)


# Published counts, and those that independent counts of the papers' tables gave before these were written.
@pytest.mark.parametrize(
    ("name", "params", "params_with_aux", "macs"),
    [
        ("googlenet", 6_998_552, 13_378_280, 1_582_671_872),
        ("googlenet_separable", 6_991_856, 13_371_584, 1_498_677_248),
        ("googlenet_released", 7_058_180, 13_437_396, 1_584_873_344),
        ("googlenet_bn", 7_005_832, 13_385_816, 1_582_671_872),
        ("googlenet_tv", 6_624_904, 13_004_888, 1_498_376_192),
        ("googlenet_naive", 97_526_008, 104_274_376, 12_568_061_056),
        ("googlenet_fc", 58_379_800, 64_759_528, 1_634_052_096),
        ("bn_inception", 11_278_528, 11_278_528, 1_948_605_440),
        ("bn_inception_slim", 11_188_288, 11_188_288, 1_934_857_216),
        ("bn_inception_caffe", 11_295_240, 11_295_240, 2_032_600_064),
        ("inception_v2_7x7", 23_800_520, 27_126_320, 5_171_990_208),
        ("inception_v2", 24_410_696, 27_736_496, 6_045_493_856),
        ("inception_v2_bn_aux", 24_410_696, 27_737_392, 6_045_493_856),
        ("inception_v3", 23_834_568, 27_161_264, 5_713_216_096),
        ("inception_v3_151", 23_834_568, 27_161_264, 5_713_216_096),
        ("inception_v3_79", 23_834_568, 27_161_264, 5_361_703_520),
        ("inception_v3_tv", 23_834_568, 27_161_264, 5_713_216_096),
        ("inception_v4", 42_679_816, 42_679_816, 12_253_974_624),
        ("inception_resnet_v1", 22_756_328, 22_756_328, 6_206_361_696),
        ("inception_resnet_v2", 32_433_928, 32_433_928, 9_257_953_632),
        ("inception_resnet_v2_released", 55_843_464, 55_843_464, 13_155_794_016),
        ("alexnet", 60_965_224, 60_965_224, 724_406_816),
        ("vgg16", 138_357_544, 138_357_544, 15_470_264_320),
        ("nin", 7_595_176, 7_595_176, 1_064_348_800),
        ("googlenet_small", 6_998_152, 6_998_152, 122_273_792),
    ],
)
def test_totals(name: str, params: int, params_with_aux: int, macs: int) -> None:
    counted = count_complexity(name)
    assert (counted.params, counted.params_with_aux, counted.macs) == (params, params_with_aux, macs)


def test_too_small_a_image_is_refused_by_the_row_it_fails_in() -> None:
    with pytest.raises(TableError, match=r"20x20 are too small for googlenet: layer pool4: .*at least 31x31"):
        check_size(GOOGLENET, 20)
    with pytest.raises(TableError, match=r"78x78 .* auxiliary head on layer 4a, at avgpool: .*at least 79x79"):
        check_size(GOOGLENET, 78, aux=True)
    assert min_size(GOOGLENET) == 31
    check_size(GOOGLENET, 31)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(TableError, match="did you mean 'googlenet'"):
        get_network("gogglenet")
