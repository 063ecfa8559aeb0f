"""Local response normalization in a table."""

import pytest

from inceptorch.errors import TableError
from inceptorch.networks.layers import LRN, plain


def test_its_window_has_a_middle() -> None:
    with pytest.raises(TableError, match="over 4 channels has no channel in the middle"):
        LRN(4)


def test_only_other_values_than_the_defaults_are_written() -> None:
    assert plain(LRN()) == {"lrn": 5}
    assert plain(LRN(3, k=2.0)) == {"lrn": 3, "k": 2.0}
