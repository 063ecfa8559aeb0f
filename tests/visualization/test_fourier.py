"""Images as coefficients of frequencies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from inceptorch.visualization.fourier import MARGIN, FourierImage, decorrelation


@pytest.mark.parametrize("size", [(16, 16), (15, 20), (20, 15), (33, 7)])
def test_an_image_comes_back_from_its_coefficients(size: tuple[int, int]) -> None:
    start = torch.rand(2, 3, *size)
    torch.testing.assert_close(
        FourierImage(2, *size, start=start)(), start.clamp(MARGIN, 1 - MARGIN), rtol=1e-4, atol=1e-4
    )


def test_colors_are_lucids() -> None:
    """The constants as rows, normalized by the longest column (0.461952)."""
    expected = [[0.562829, 0.194825, 0.043295], [0.584476, 0, -0.108236], [0.584476, -0.194825, 0.064942]]
    np.testing.assert_allclose(decorrelation(), expected, atol=1e-6)


def test_amplitudes_fall_with_the_frequency() -> None:
    """Before optimization the amplitude falls as 1/f, as natural images' does: the slope of its logarithm is -1."""
    size = 128
    with torch.no_grad():
        image = FourierImage(64, size, size, torch.Generator().manual_seed(0))()
    x = torch.logit(image).mean(1)  # before the sigmoid
    amplitude = torch.fft.fft2(x - x.mean((1, 2), keepdim=True)).abs().square().mean(0).sqrt()
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.fftfreq(size)[None, :])
    edges = torch.logspace(np.log10(2 / size), np.log10(0.5), 12)
    rings = [(f >= low) & (f < high) for low, high in pairwise(edges)]
    means = [float(amplitude[ring].mean()) for ring in rings]
    centers = [float(f[ring].mean()) for ring in rings]
    slope, _ = np.polyfit(np.log(centers), np.log(means), 1)
    assert slope == pytest.approx(-1, abs=0.1)


def test_a_seed_draws_the_same_image_and_gray_has_no_color() -> None:
    first, again, other = (FourierImage(1, 9, 9, torch.Generator().manual_seed(seed))() for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    gray = FourierImage(1, 9, 9, torch.Generator().manual_seed(3), gray=True)()
    assert torch.equal(gray[:, 0], gray[:, 2])
    assert gray.std() > 0
