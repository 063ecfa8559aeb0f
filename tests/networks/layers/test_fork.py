"""Branches in parallel."""

from dataclasses import replace

import pytest

from inceptorch.errors import TableError
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, Fork
from inceptorch.networks.zoo.googlenet import GOOGLENET


def test_a_table_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(TableError, match="'4x'"):
        replace(GOOGLENET, aux=("4x",))
    with pytest.raises(TableError, match="aux_head is not given"):
        replace(GOOGLENET, aux_head=None)
    uneven = replace(GOOGLENET, body={"a": Fork(Conv(4), Conv(4, 3, 2))}, aux=())
    with pytest.raises(TableError, match="layer a: branches give maps of different sizes"):
        count_complexity(uneven)
