"""Gradients tile by tile."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from inceptorch.classifier import Classifier
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.tiles import MULTIPLE, ramps, spans, tiled


@pytest.mark.parametrize("length", [1, 255, 256, 257, 300, 511, 640, 1000, 4032])
@pytest.mark.parametrize(("tile", "overlap"), [(256, 64), (640, 160)])
def test_tiles_cover_a_side_and_their_weights_sum_to_one(length: int, tile: int, overlap: int) -> None:
    tiles = spans(length, tile, overlap)
    assert (tiles[0][0], tiles[-1][1]) == (0, length)
    assert all(start % MULTIPLE == 0 and end - start <= tile + MULTIPLE for start, end in tiles)
    assert all(before[1] - after[0] == overlap for before, after in pairwise(tiles))
    assert all(later[0] >= before[1] for before, _, later in zip(tiles, tiles[1:], tiles[2:], strict=False))
    total = torch.zeros(length)
    for (start, end), weights in zip(tiles, ramps(tiles), strict=True):
        total[start:end] += weights
    torch.testing.assert_close(total, torch.ones(length))


def test_a_tiled_gradient_is_the_whole_images(tiny: Classifier) -> None:
    """Where a unit sees less than a quarter of the overlap, as in the first layers, there is no difference at all."""
    maps = Maps(tiny, ["3a"])

    def gradient(image: Tensor) -> tuple[Tensor, float]:
        image = image.detach().requires_grad_()
        found = maps(image)["3a"]
        (gradient,) = torch.autograd.grad(found.square().sum(), image)
        return gradient, float(found.detach().square().mean())

    torch.manual_seed(0)
    image = torch.rand(1, 3, 150, 203)
    whole, energy = gradient(image)
    for tile, overlap in ((96, 64), (128, 64)):
        found, mean = tiled(gradient, image, tile, overlap, whole=0)
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4 * float(whole.abs().max()))
        assert mean == pytest.approx(energy, rel=0.1)


def test_an_image_that_needs_no_tiles_is_not_copied() -> None:
    image = torch.rand(1, 3, 20, 30)
    seen: list[Tensor] = []

    def gradient(part: Tensor) -> tuple[Tensor, float]:
        seen.append(part)
        return part, 0.0

    tiled(gradient, image, 16, 4)
    assert seen[0] is image
