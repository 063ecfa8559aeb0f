"""GoogLeNet's table against the paper."""

from importlib.resources import files
from typing import Any

import pytest
import yaml

from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, Fork
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


def test_depth_of_googlenet_is_22_layers_with_parameters() -> None:
    def depth(layer: object) -> int:
        if isinstance(layer, Conv):
            return 1
        if isinstance(layer, Fork):
            return max(depth(branch) for branch in layer.branches)
        return sum(map(depth, layer)) if isinstance(layer, tuple) else 0

    assert sum(depth(row) for row in GOOGLENET.body.values()) + 1 == 22
