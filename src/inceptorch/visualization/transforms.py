"""Random small changes of an image before each step, so that what is found holds for all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# As tensorflow/lucid, as fractions of its images of 128 pixels, so that they suit networks of any size.
PAD, FIRST_JITTER, SECOND_JITTER = 12 / 128, 8 / 128, 4 / 128
SCALES = tuple(1 + (step - 5) / 50 for step in range(11))  # 0.9 to 1.1
ANGLES = (*range(-10, 11), *[0] * 5)  # degrees
GRAY = 0.5


def random_view(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images [N, 3, H, W] from 0 to 1, padded with gray, moved, scaled, turned and moved again at random; all of them
    alike. The result has 2 * PAD - FIRST_JITTER - SECOND_JITTER more pixels on each side: [N, 3, H', W']."""
    size = min(images.shape[2:])
    images = F.pad(images, [round(PAD * size)] * 4, value=GRAY)
    images = _jitter(images, round(FIRST_JITTER * size), generator)
    scale, angle = _choose(SCALES, generator), math.radians(_choose(ANGLES, generator))
    if scale != 1 or angle:
        images = _turned(images, scale, angle)
    return _jitter(images, round(SECOND_JITTER * size), generator)


def _jitter(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """A random crop with that many pixels less each way."""
    top, left = (int(torch.randint(pixels + 1, (), generator=generator)) for _ in range(2))
    height, width = (side - pixels for side in images.shape[2:])
    return images[:, :, top : top + height, left : left + width]


def _choose(values: tuple[float, ...], generator: torch.Generator) -> float:
    return values[int(torch.randint(len(values), (), generator=generator))]


def _turned(images: Tensor, scale: float, angle: float) -> Tensor:
    """Scaled and turned around the center in one interpolation; corners repeat the border."""
    height, width = images.shape[2:]
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    matrix = images.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
    grid = F.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
