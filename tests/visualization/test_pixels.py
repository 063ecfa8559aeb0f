"""Images between pixels and tensors, and their sizes."""

from __future__ import annotations

import numpy as np
import torch

from inceptorch.visualization.pixels import fitting, to_tensor, to_uint8


def test_pixels_come_back_from_a_tensor() -> None:
    pixels = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    images = to_tensor(pixels)
    assert images.shape == (2, 3, 4, 6)
    assert float(images[0, 2, 0, 1]) == np.float32(5 / 255)
    np.testing.assert_array_equal(to_uint8(images), pixels)


def test_values_are_rounded_and_clipped() -> None:
    assert to_uint8(torch.tensor([-0.1, 0.4999, 1.2]).view(1, 3, 1, 1)).tolist() == [[[[0, 127, 255]]]]


def test_sizes_keep_their_ratio() -> None:
    assert [fitting(*size, 100) for size in ((400, 300), (30, 60), (1000, 1))] == [(100, 75), (50, 100), (100, 1)]
