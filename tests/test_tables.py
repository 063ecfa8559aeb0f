"""The tables against the paper: what Table 1 prints, what it adds up to, and what a table may not be."""

from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
import yaml

from inceptorch.errors import TableError
from inceptorch.networks.complexity import check_size, count_complexity, min_size
from inceptorch.networks.layers import Conv, Fork, Pool
from inceptorch.networks.network import stem
from inceptorch.networks.zoo import NETS, get_network
from inceptorch.networks.zoo.googlenet import GOOGLENET, block

PAPER = yaml.safe_load((files("inceptorch.networks.zoo") / "papers" / "googlenet.yaml").read_text(encoding="utf-8"))
TABLE_1 = [dict(zip(PAPER["tables"][0]["columns"], row, strict=True)) for row in PAPER["tables"][0]["rows"]]


@pytest.mark.parametrize("printed", TABLE_1, ids=lambda row: row["row"])
def test_googlenet_rows_have_the_papers_shapes_and_widths(printed: dict[str, Any]) -> None:
    channels, height, width = {row.name: row for row in count_complexity("googlenet").layers}[printed["row"]].output
    assert f"{height}x{width}x{channels}" == printed["output"]
    columns = [printed[name] for name in ("#1x1", "#3x3red", "#3x3", "#5x5red", "#5x5", "proj")]
    if all(columns):
        c1, c3r, c3, c5r, c5, proj = columns
        assert GOOGLENET.body[printed["row"]] == block(c1, c3r, c3, c5r, c5, proj)
        assert channels == c1 + c3 + c5 + proj


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


def test_depth_of_googlenet_is_22_layers_with_parameters() -> None:
    def depth(layer: object) -> int:
        if isinstance(layer, Conv):
            return 1
        if isinstance(layer, Fork):
            return max(depth(branch) for branch in layer.branches)
        return sum(map(depth, layer)) if isinstance(layer, tuple) else 0

    assert sum(depth(row) for row in GOOGLENET.body.values()) + 1 == 22


@pytest.mark.parametrize(
    ("layer", "side", "expected"),
    [
        (Pool("max", 3, 2, "ceil"), 112, 56),
        (Pool("max", 3, 2, "ceil"), 7, 3),
        (Pool("max", 3, 2, "ceil"), 2, 1),
        (Pool("avg", 5, 3, "valid"), 14, 4),
        (Conv(1, 7, 2), 224, 112),
        (Conv(1, 3), 5, 5),
    ],
)
def test_windows_are_counted_as_caffe_counts_them(layer: Pool | Conv, side: int, expected: int) -> None:
    assert layer.output_shape((1, side, side)) == (1, expected, expected)


def test_too_small_a_image_is_refused_by_the_row_it_fails_in() -> None:
    with pytest.raises(TableError, match=r"20x20 are too small for googlenet: layer pool4: .*at least 31x31"):
        check_size(GOOGLENET, 20)
    with pytest.raises(TableError, match=r"78x78 .* auxiliary head on layer 4a, at avgpool: .*at least 79x79"):
        check_size(GOOGLENET, 78, aux=True)
    assert min_size(GOOGLENET) == 31
    check_size(GOOGLENET, 31)


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


@pytest.mark.parametrize("name", ["inception_v3", "inception_v3_151", "inception_v3_79"])
def test_low_resolution_stems_lead_to_the_same_grids(name: str) -> None:
    outputs = {row.name: row.output for row in count_complexity(name).layers}
    assert outputs["5d"][0] == 288
    assert outputs["6e"] == (768, 17, 17)
    assert outputs["7c"] == (2048, 8, 8)


# Table 1 of arXiv:1512.00567 prints each row's input; Figure 3 and 4 to 9 of arXiv:1602.07261 each module's output.
GRIDS = {
    "inception_v2": {
        "conv1": (32, 149, 149), "conv2": (32, 147, 147), "conv3": (64, 147, 147), "pool": (64, 73, 73),
        "conv4": (80, 71, 71), "conv5": (192, 35, 35), "conv6": (288, 35, 35), "5d": (288, 35, 35),
        "6a": (768, 17, 17), "6e": (768, 17, 17), "7a": (1280, 8, 8), "7c": (2048, 8, 8),
    },
    "inception_v4": {
        "3a": (160, 73, 73), "4a": (192, 71, 71), "5a": (384, 35, 35), "5e": (384, 35, 35), "6a": (1024, 17, 17),
        "6h": (1024, 17, 17), "7a": (1536, 8, 8), "7d": (1536, 8, 8),
    },
    "inception_resnet_v1": {
        "conv4b": (256, 35, 35), "A5": (256, 35, 35), "reduction_A": (896, 17, 17), "B10": (896, 17, 17),
        "reduction_B": (1792, 8, 8), "C5": (1792, 8, 8),
    },
    "inception_resnet_v2": {
        "5a": (384, 35, 35), "reduction_A": (1152, 17, 17), "B10": (1152, 17, 17), "reduction_B": (2144, 8, 8),
        "C5": (2144, 8, 8),
    },
    "bn_inception": {
        "conv1": (64, 112, 112), "pool1": (64, 56, 56), "conv2": (192, 56, 56), "pool2": (192, 28, 28),
        "3a": (256, 28, 28), "3b": (320, 28, 28), "3c": (576, 14, 14), "4a": (576, 14, 14), "4b": (576, 14, 14),
        "4c": (608, 14, 14), "4d": (608, 14, 14), "4e": (1056, 7, 7), "5a": (1024, 7, 7), "5b": (1024, 7, 7),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_rows_have_the_papers_grids(name: str) -> None:
    outputs = {row.name: row.output for row in count_complexity(name).layers}
    assert {row: outputs[row] for row in GRIDS[name]} == GRIDS[name]


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(TableError, match="did you mean 'googlenet'"):
        get_network("gogglenet")


def test_a_table_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(TableError, match="'4x'"):
        replace(GOOGLENET, aux=("4x",))
    with pytest.raises(TableError, match="aux_head is not given"):
        replace(GOOGLENET, aux_head=None)
    uneven = replace(GOOGLENET, body={"a": Fork(Conv(4), Conv(4, 3, 2))}, aux=())
    with pytest.raises(TableError, match="layer a: branches give maps of different sizes"):
        count_complexity(uneven)


def test_the_stem_is_what_stands_before_the_first_module() -> None:
    assert {name: stem(NETS[name]) for name in ("googlenet", "googlenet_bn", "inception_v3", "inception_v4", "vgg16")} == {
        "googlenet": 6, "googlenet_bn": 4, "inception_v3": 7, "inception_v4": 3, "vgg16": 0
    }  # fmt: skip
