"""Windows that slide over a map."""

import pytest

from inceptorch.networks.layers import Conv, Pool


@pytest.mark.parametrize(
    ("layer", "side", "expected"),
    [
        (Pool("max", 3, 2, "ceil"), 112, 56),
        (Pool("max", 3, 2, "ceil"), 7, 3),
        (Pool("max", 3, 2, "ceil"), 2, 1),
        (Pool("avg", 5, 3, "valid"), 14, 4),
        (Conv(1, 7, 2), 224, 112),
        (Conv(1, 3), 5, 5),
    ],
)
def test_windows_are_counted_as_caffe_counts_them(layer: Pool | Conv, side: int, expected: int) -> None:
    assert layer.output_shape((1, side, side)) == (1, expected, expected)
