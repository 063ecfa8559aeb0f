"""The conventions of FID. They share one set of weights and differ in how an image is resized and scaled.

pytorch-fid     version 0.3.0, inception.py and fid_score.py
clean-fid       version 0.1.35, resize.py, mode "clean"
torch-fidelity  version 0.4.0, interpolate_compat_tensorflow.py: TensorFlow 1, as in TTUR, the first FID
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from inceptorch.errors import RunError, did_you_mean
from inceptorch.images.decode import RGBArray

NETWORK = "inception_v3_fid"  # the network that "FID" means without a further name
Resized = NDArray[np.float32]  # [3, S, S] from 0 to 255, not rounded


def resize_torch(image: RGBArray, size: int) -> Resized:
    """Bilinear between pixel centers, without antialiasing."""
    batch = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous().float()
    resized: Resized = F.interpolate(batch, size=(size, size), mode="bilinear", align_corners=False)[0].numpy()
    return resized


def resize_pillow(image: RGBArray, size: int) -> Resized:
    """Bicubic with antialiasing, every channel in floating point."""
    channels = (Image.fromarray(image[..., channel].astype(np.float32)) for channel in range(3))
    resized = [np.asarray(each.resize((size, size), Image.Resampling.BICUBIC)) for each in channels]
    return np.stack(resized).clip(0, 255)


def resize_tensorflow(image: RGBArray, size: int) -> Resized:
    """Bilinear between the upper left corners of pixels, without antialiasing."""
    pixels = image.transpose(2, 0, 1).astype(np.float32)
    (top, bottom, along), (left, right, across) = (_corners(length, size) for length in pixels.shape[1:])

    def row(lines: NDArray[np.int64]) -> Resized:
        chosen = pixels[:, lines]
        first = chosen[:, :, left]
        mixed: Resized = first + (chosen[:, :, right] - first) * across
        return mixed

    upper = row(top)
    resized: Resized = upper + (row(bottom) - upper) * along[:, None]
    return resized


def _corners(length: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The two pixels between which each of `size` lies, and where: 0 at the first, 1 at the second."""
    place = np.arange(size, dtype=np.float32) * np.float32(length / size)
    low = place.astype(np.int64)
    return low, np.minimum(low + 1, length - 1), place - low.astype(np.float32)


@dataclass(frozen=True)
class Convention:
    """How one package computes FID.

    resize      an RGB image of any size as float32 [3, S, S] from 0 to 255
    mean, std   (value - mean) / std is the network's input
    dtype       of the features when they are averaged, and of the difference of averages
    small_kid   whether KID draws smaller subsets where there are fewer than 1000 images
    """

    name: str
    resize: Callable[[RGBArray, int], Resized]
    mean: float
    std: float
    dtype: type[np.float32 | np.float64]
    small_kid: bool = False


CONVENTIONS = {
    each.name: each
    for each in (
        Convention("pytorch-fid", resize_torch, 127.5, 127.5, np.float64),
        Convention("clean-fid", resize_pillow, 128.0, 128.0, np.float32, small_kid=True),
        Convention("torch-fidelity", resize_tensorflow, 128.0, 128.0, np.float32),
    )
}


def get_convention(name: str) -> Convention:
    """A convention by name. Raises RunError."""
    if name not in CONVENTIONS:
        raise RunError(f"Cannot compute FID by the convention {name!r}: {did_you_mean(name, CONVENTIONS)}")
    return CONVENTIONS[name]
