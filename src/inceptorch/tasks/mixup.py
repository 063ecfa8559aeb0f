"""Augmentation of a batch of normalized images: random erasing, mixup and CutMix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inceptorch.data.augment import torch_seed
from inceptorch.data.augmentation import AugmentationConfig

# As fractions of an image, and height to width (arXiv:1708.04896)
ERASED_AREA, ERASED_ASPECT = (0.02, 1 / 3), (0.3, 3.3)


def mix(
    images: Tensor, labels: Tensor, num_classes: int, config: AugmentationConfig, seed: int
) -> tuple[Tensor, Tensor]:
    """Normalized images [N, C, H, W] and labels [N] as random erasing, mixup and CutMix change them.

    Where images are mixed, the targets are fractions of the classes [N, num_classes] in place of labels. Of mixup and
    cutmix, a step has either with equal probability. All draws depend on `seed` alone.
    """
    from torchvision.transforms import v2

    mixers = []
    if config.mixup_alpha:
        mixers.append(v2.MixUp(alpha=config.mixup_alpha, num_classes=num_classes))
    if config.cutmix_alpha:
        mixers.append(v2.CutMix(alpha=config.cutmix_alpha, num_classes=num_classes))
    with torch_seed(seed):
        if config.random_erasing_prob:
            images = erase(images, config.random_erasing_prob)
        if mixers:
            images, labels = v2.RandomChoice(mixers)(images, labels)
    return images, labels


def erase(images: Tensor, probability: float) -> Tensor:
    """In each of the images [N, C, H, W], with this probability, a rectangle becomes 0, the mean color. Draws come from
    torch's CPU generator."""
    count, _, height, width = images.shape
    draws = torch.rand(5, count, dtype=torch.float64)
    low, high = ERASED_AREA
    area = height * width * (low + (high - low) * draws[0])
    low, high = map(math.log, ERASED_ASPECT)
    aspect = (low + (high - low) * draws[1]).exp()
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (draws[2] * (height - tall + 1)).floor()
    left = (draws[3] * (width - wide + 1)).floor()
    tall = tall * (draws[4] < probability)  # of no height: nothing

    top, left, tall, wide = torch.stack([top, left, tall, wide]).to(images.device, torch.int64)[..., None]
    rows, columns = (torch.arange(length, device=images.device) for length in (height, width))
    in_rows = (top <= rows) & (rows < top + tall)
    in_columns = (left <= columns) & (columns < left + wide)
    return images.clone().masked_fill_((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0)
