"""The networks that the papers compare themselves with."""

import pytest

from inceptorch.networks.complexity import count_complexity


@pytest.mark.parametrize(
    ("name", "layer", "output"),
    [("alexnet", "pool5", (256, 6, 6)), ("vgg16", "pool5", (512, 7, 7)), ("nin", "cccp4", (1024, 6, 6))],
)
def test_last_maps(name: str, layer: str, output: tuple[int, int, int]) -> None:
    assert {each.name: each.output for each in count_complexity(name).layers}[layer] == output
