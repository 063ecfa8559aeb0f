"""The networks of the studies."""

import pytest

from inceptorch.networks.complexity import count_complexity
from inceptorch.papers.studies.networks import googlenet, naive_of_equal_cost


@pytest.mark.parametrize("size", [28, 32, 64, 224])
def test_modules_without_reductions_cost_the_same(size: int) -> None:
    naive, reduced = (count_complexity(arm(size), num_classes=10).macs for arm in (naive_of_equal_cost, googlenet))
    assert naive == pytest.approx(reduced, rel=0.03)
