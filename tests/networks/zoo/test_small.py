"""The network for small images: what of it is an Inception, and what images it takes."""

import pytest

from inceptorch.networks.complexity import count_complexity, min_size
from inceptorch.networks.layers import Conv, Fork, Pool, walk
from inceptorch.networks.zoo.small import INCEPTION_32


def test_modules_are_wide_and_have_no_reductions() -> None:
    modules = [layer for layer in INCEPTION_32.body.values() if isinstance(layer, Fork)]
    assert len(modules) == 3
    for module in modules:
        assert [type(branch) for branch in module.branches] == [Conv, Conv]
        assert [branch.window_size for branch in module.branches if isinstance(branch, Conv)] == [(1, 1), (3, 3)]
    parts = [part for layer in INCEPTION_32.body.values() for part in walk(layer)]
    assert not any(isinstance(part, Pool) and part.stride == 1 for part in parts)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_three_halvings_from_any_size_it_is_made_for(size: int) -> None:
    last = list(count_complexity(INCEPTION_32, size).layers)[-3]
    assert last.output[1:] == ((size - 1) // 8,) * 2


def test_smallest_images() -> None:
    assert min_size(INCEPTION_32) == 9
