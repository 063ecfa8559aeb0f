"""Preprocessing: from an image to the uint8 RGB array of a network, alike in training, evaluation and prediction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from PIL import Image

from inceptorch.errors import BundleError
from inceptorch.images.decode import decode
from inceptorch.utils.validation import Finite, build, check_fields

ImageArray = NDArray[np.uint8]  # [S, S, 3] RGB, of the network's size
Size = Annotated[int, Meta(ge=1, le=4096)]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, the weights of Pillow's own conversion to grayscale
MAX_ASPECT = 16  # a longer image is cropped to its middle before it is resized


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of one set of weights.

    The shorter side is resized to `resize` pixels (the longer one rounded to the nearest), the centered `size` x `size`
    pixels are cut out, the channels are put into the order `channels`, then (value - mean) / std with values 0 to 255.
    """

    size: Size
    resize: Size
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    mean: tuple[Finite, ...] = (123.675, 116.28, 103.53)  # of ImageNet's training images, in RGB
    std: tuple[Finite, ...] = (58.395, 57.12, 57.375)
    filter: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = "bilinear"

    def __post_init__(self) -> None:
        check_fields(self, BundleError, "Preprocessing: ")
        if self.size > self.resize:
            raise BundleError(f"Preprocessing: size {self.size} must not be above resize {self.resize}.")
        if not len(self.mean) == len(self.std) == self.in_chans or 0 in self.std:
            raise BundleError(f"Preprocessing: {self.channels} needs {self.in_chans} means and nonzero deviations.")

    @property
    def in_chans(self) -> int:
        return 1 if self.channels == "gray" else 3

    def apply(self, source: str | Path | bytes | Image.Image) -> ImageArray:
        """The center crop [size, size, 3] of a file or a Pillow image. Raises ImageError."""
        resized = resize_shorter(decode(source).image, self.resize, self.filter)
        left, top = center(resized.size, self.size)
        return np.asarray(resized.crop((left, top, left + self.size, top + self.size)))

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the center crop, in pixels of an upright image of that size."""
        short, long = sorted((width, height))
        length = min(long, MAX_ASPECT * short)
        across = _centered(self.size, self.resize, short)
        along = _centered(self.size, round(self.resize * length / short), length, (long - length) // 2)
        (left, right), (top, bottom) = (across, along) if width <= height else (along, across)
        return left, top, right, bottom

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """Read what `to_dict` wrote. Raises BundleError for missing, unknown or impossible values."""
        return build(cls, values, "Preprocessing", BundleError)


def default_preprocessing(size: int, channels: Literal["rgb", "bgr", "gray"] = "rgb") -> Preprocessing:
    """The preprocessing of a network trained from scratch: resize to 256 for a crop of 224; no margin up to 96."""
    resize = size if size <= 96 else round(size * 256 / 224)
    if channels == "gray":
        return Preprocessing(size, resize, "gray", mean=(117.0,), std=(57.0,))
    rgb = Preprocessing(size, resize)
    return rgb if channels == "rgb" else Preprocessing(size, resize, "bgr", rgb.mean[::-1], rgb.std[::-1])


def resize_shorter(image: Image.Image, size: int, filter: str) -> Image.Image:
    """Resize so that the shorter side has `size` pixels; the longer one follows, rounded to the nearest."""
    short, long = sorted(image.size)
    if long > MAX_ASPECT * short:
        start, long = (long - MAX_ASPECT * short) // 2, MAX_ASPECT * short
        wide = image.width >= image.height
        image = image.crop((start, 0, start + long, short) if wide else (0, start, short, start + long))
    long_side = round(size * long / short)
    to = (size, long_side) if image.width <= image.height else (long_side, size)
    return image if image.size == to else image.resize(to, Image.Resampling[filter.upper()])


def center(image_size: tuple[int, int], size: int) -> tuple[int, int]:
    """Left and top of the center crop of `size` pixels in an image of width and height `image_size`."""
    width, height = image_size
    return (width - size) // 2, (height - size) // 2


def _centered(size: int, side: int, original: int, offset: int = 0) -> tuple[float, float]:
    """Begin and end of the middle `size` pixels of a side on the original, which was resized to `side` pixels."""
    start, scale = (side - size) // 2, original / side
    return offset + start * scale, offset + (start + size) * scale
