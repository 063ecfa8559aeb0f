"""The grids that the papers of Inception-v2 to v4 print."""

from importlib.resources import files

import pytest
import yaml

from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Residual
from inceptorch.networks.zoo import get_network

PAPER = yaml.safe_load((files("inceptorch.networks.zoo") / "papers" / "googlenet.yaml").read_text(encoding="utf-8"))


TABLE_1 = [dict(zip(PAPER["tables"][0]["columns"], row, strict=True)) for row in PAPER["tables"][0]["rows"]]


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


@pytest.mark.parametrize("name", ["inception_resnet_v1", "inception_resnet_v2", "inception_resnet_v2_released"])
def test_residuals_are_scaled_as_in_the_released_code(name: str) -> None:
    """The paper says "between 0.1 and 0.3"."""
    rows = {row: layer for row, layer in get_network(name).body.items() if isinstance(layer, Residual)}
    scales = {row[0]: layer.scale for row, layer in rows.items() if row != "C10"}
    assert scales == {"A": 0.17, "B": 0.10, "C": 0.20}
    assert {layer.scale for row, layer in rows.items() if row == "C10"} <= {1.0}
