"""Images between pixels and tensors, and their sizes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensor(images: NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """Images [N, 3, H, W] from 0 to 1 of uint8 [N, H, W, 3]."""
    return torch.from_numpy(images.copy()).to(device).permute(0, 3, 1, 2) / 255


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """uint8 [N, H, W, 3] of images [N, 3, H, W] from 0 to 1."""
    array: NDArray[np.uint8] = (images.detach().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return array


def fitting(width: int, height: int, longest: int) -> tuple[int, int]:
    """Width and height with that longer side and about the same ratio."""
    by = longest / max(width, height)
    return max(round(width * by), 1), max(round(height * by), 1)
