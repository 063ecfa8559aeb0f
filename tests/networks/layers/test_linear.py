"""Fully connected layers and dropout."""

import pytest

from inceptorch.errors import TableError
from inceptorch.networks.layers import Dropout, Linear


def test_a_linear_layer_sees_the_whole_map() -> None:
    assert Linear(10).count((4, 3, 2), None) == (24 * 10 + 10, 24 * 10)
    assert Linear(10).output_shape((4, 3, 2)) == (10, 1, 1)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_dropout_rate_is_below_1(rate: float) -> None:
    with pytest.raises(TableError, match="from 0 to below 1"):
        Dropout(rate)
