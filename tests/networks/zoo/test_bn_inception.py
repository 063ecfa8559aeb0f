"""BN-Inception's two readings of Figure 5."""

import pytest

from inceptorch.networks.complexity import count_complexity


@pytest.mark.parametrize(
    ("name", "channels"), [("bn_inception", (608, 608, 1056)), ("bn_inception_slim", (576, 576, 1024))]
)
def test_branches_or_sums_as_printed(name: str, channels: tuple[int, int, int]) -> None:
    outputs = {each.name: each.output[0] for each in count_complexity(name).layers}
    assert (outputs["4c"], outputs["4d"], outputs["4e"]) == channels
