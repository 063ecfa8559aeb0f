"""Convolutions: parameters, multiply-adds and what does not fit."""

import pytest

from inceptorch.errors import TableError
from inceptorch.networks.layers import BatchNorm, Conv, SeparableConv


@pytest.mark.parametrize(
    ("norm", "beside"), [(None, 8), (BatchNorm(), 16), (BatchNorm(conv_bias=True), 24)], ids=["bias", "norm", "both"]
)
def test_parameters_and_multiply_adds(norm: BatchNorm | None, beside: int) -> None:
    weights = 8 * 3 * 5 * (4 // 2)
    assert Conv(8, (3, 5), groups=2).count((4, 6, 7), norm) == (weights + beside, weights * 6 * 7)
    weights = 4 * 2 * (9 + 8)
    assert SeparableConv(8, 3, multiplier=2).count((4, 6, 7), norm) == (weights + beside, weights * 6 * 7)


def test_groups_must_divide_both_sides() -> None:
    with pytest.raises(TableError, match="8 channels cannot be divided into 3 groups"):
        Conv(8, groups=3)
    with pytest.raises(TableError, match="3 channels cannot be divided into 2 groups"):
        Conv(8, groups=2).output_shape((3, 4, 4))
