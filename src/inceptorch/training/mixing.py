"""What is done to a whole batch of scaled training pictures: rectangles erased, pictures mixed with one another."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inceptorch.data.augment import drawing_from
from inceptorch.recipes import Recipe

ERASED_AREA, ERASED_ASPECT = (0.02, 1 / 3), (0.3, 3.3)  # shares of a picture, height to width (arXiv:1708.04896)


def mix(pictures: Tensor, labels: Tensor, num_classes: int, recipe: Recipe, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures [N, C, H, W], scaled, and labels [N] as the recipe's erasing, mixup and cutmix change them.

    Where pictures are mixed, the targets are the classes' shares [N, num_classes] in place of labels. Of mixup and
    cutmix, a step has either with equal probability. All draws depend on `seed` alone.
    """
    from torchvision.transforms import v2

    mixers = []
    if recipe.mixup:
        mixers.append(v2.MixUp(alpha=recipe.mixup, num_classes=num_classes))
    if recipe.cutmix:
        mixers.append(v2.CutMix(alpha=recipe.cutmix, num_classes=num_classes))
    with drawing_from(seed):
        if recipe.erasing:
            pictures = erase(pictures, recipe.erasing)
        if mixers:
            pictures, labels = v2.RandomChoice(mixers)(pictures, labels)
    return pictures, labels


def erase(pictures: Tensor, share: float) -> Tensor:
    """A rectangle of its own becomes 0, which is the mean colour, in a `share` of the pictures [N, C, H, W], drawn from
    torch's CPU generator."""
    count, _, height, width = pictures.shape
    draws = torch.rand(5, count, dtype=torch.float64)
    low, high = ERASED_AREA
    pixels = height * width * (low + (high - low) * draws[0])
    low, high = map(math.log, ERASED_ASPECT)
    aspect = (low + (high - low) * draws[1]).exp()
    tall = (pixels * aspect).sqrt().round().clamp(1, height)
    wide = (pixels / aspect).sqrt().round().clamp(1, width)
    top = (draws[2] * (height - tall + 1)).floor()
    left = (draws[3] * (width - wide + 1)).floor()
    tall = tall * (draws[4] < share)  # of no height: nothing

    top, left, tall, wide = torch.stack([top, left, tall, wide]).to(pictures.device, torch.int64)[..., None]
    rows, columns = (torch.arange(length, device=pictures.device) for length in (height, width))
    in_rows = (top <= rows) & (rows < top + tall)
    in_columns = (left <= columns) & (columns < left + wide)
    return pictures.clone().masked_fill_((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0)
