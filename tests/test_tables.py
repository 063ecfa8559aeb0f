"""The tables against the paper: what Table 1 prints, what it adds up to, and what a table may not be."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from inceptorch import nets
from inceptorch.costs import check_size, cost, min_size, output_shape
from inceptorch.errors import TableError
from inceptorch.nets import NETS
from inceptorch.nets.googlenet import GOOGLENET, block
from inceptorch.spec import Conv, Fork, Pool

with open(Path(__file__).parent / "facts" / "googlenet_table1.csv") as file:
    TABLE_1 = list(csv.DictReader(file))


@pytest.mark.parametrize("printed", TABLE_1, ids=lambda row: row["row"])
def test_googlenet_rows_have_the_papers_shapes_and_widths(printed: dict[str, str]) -> None:
    counted = {row.name: row for row in cost("googlenet").rows}[printed["row"]]
    assert "x".join(map(str, counted.output)) == printed["output"]
    columns = [printed[name] for name in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")]
    if all(columns):
        c1, c3r, c3, c5r, c5, proj = map(int, columns)
        assert GOOGLENET.body[printed["row"]] == block(c1, c3r, c3, c5r, c5, proj)
        assert counted.output[0] == c1 + c3 + c5 + proj


@pytest.mark.parametrize("printed", [row for row in TABLE_1 if row["ops_printed_m"]], ids=lambda row: row["row"])
def test_googlenet_multiply_adds_are_the_printed_ones(printed: dict[str, str]) -> None:
    counted = {row.name: row for row in cost("googlenet").rows}[printed["row"]]
    # The paper counts a separable stem, 204 channels for the 3x3 of 4a and 48 for the 5x5 reduction of 5a.
    explained = {"conv1": 118, "4a": 74, "5a": 51}
    assert round(counted.macs / 1e6) == explained.get(printed["row"], int(printed["ops_printed_m"]))


@pytest.mark.parametrize(
    ("name", "params", "params_with_aux", "macs"),
    [
        ("googlenet", 6_998_552, 13_378_280, 1_582_671_872),
        ("googlenet_bn", 7_005_832, 13_385_816, 1_582_671_872),
        ("googlenet_small", 6_998_152, 6_998_152, 122_273_792),
    ],
)
def test_totals(name: str, params: int, params_with_aux: int, macs: int) -> None:
    counted = cost(name)
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
    assert output_shape(layer, (1, side, side)) == (1, expected, expected)


def test_too_small_a_picture_is_refused_by_the_row_it_fails_in() -> None:
    with pytest.raises(TableError, match=r"20x20 are too small for googlenet: row pool4: .*at least 31x31"):
        check_size(GOOGLENET, 20)
    with pytest.raises(TableError, match=r"78x78 .* auxiliary head on row 4a, at avgpool: .*at least 79x79"):
        check_size(GOOGLENET, 78, aux=True)
    assert min_size(GOOGLENET) == 31
    check_size(GOOGLENET, 31)


def test_small_variant_serves_pictures_of_28_to_96_pixels() -> None:
    for size in (28, 32, 64, 96):
        check_size(NETS["googlenet_small"], size)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(TableError, match="did you mean 'googlenet'"):
        nets.net("gogglenet")


def test_a_table_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(TableError, match="'4x'"):
        replace(GOOGLENET, aux=("4x",))
    with pytest.raises(TableError, match="aux_head is not given"):
        replace(GOOGLENET, aux_head=None)
    uneven = replace(GOOGLENET, body={"a": Fork(Conv(4), Conv(4, 3, 2))}, aux=())
    with pytest.raises(TableError, match="row a: branches give maps of different sizes"):
        cost(uneven)
