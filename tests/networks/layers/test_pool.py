"""Pooling: its shapes, and averages that count the padding."""

import pytest
import torch

from inceptorch.errors import TableError
from inceptorch.networks.layers import AdaptiveAverage, Conv, GlobalAverage, GlobalMax, Pool, counting_pad, map_layers


def test_shapes() -> None:
    assert GlobalAverage().output_shape((5, 7, 9)) == GlobalMax().output_shape((5, 7, 9)) == (5, 1, 1)
    assert AdaptiveAverage(4).output_shape((5, 7, 9)) == (5, 4, 4)
    with pytest.raises(TableError, match="A size of 0"):
        AdaptiveAverage(0)


def test_averages_count_the_padding_only_where_they_are_told_to() -> None:
    layers = (Pool("avg"), Conv(4), Pool("max"))
    assert map_layers(layers, counting_pad) == (Pool("avg", count_pad=True), Conv(4), Pool("max"))
    x = torch.ones(1, 1, 3, 3)
    assert Pool("avg").module((1, 3, 3), None)(x).min() == 1
    assert Pool("avg", count_pad=True).module((1, 3, 3), None)(x)[0, 0, 0, 0] == pytest.approx(4 / 9)
