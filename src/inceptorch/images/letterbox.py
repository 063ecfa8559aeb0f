"""An image as a detector takes it: whole, resized to fit, with the mean color to its right or below it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from inceptorch.images.boxes import Boxes
from inceptorch.images.preprocessing import ImageArray, Preprocessing


class Letterbox(NamedTuple):
    """uint8 [height, width, 3], the factors that the original's x and y were multiplied with, and its sides."""

    image: ImageArray
    scale: tuple[float, float]
    size: tuple[int, int]

    def to_original(self, boxes: Boxes) -> Boxes:
        """Boxes on the letterbox as boxes on the original image, within it."""
        return to_original(boxes, self.scale, self.size)


def letterbox(image: Image.Image, width: int, height: int, pixels: Preprocessing) -> Letterbox:
    """An upright RGB image resized so that it just fits into `width` x `height` pixels, in the left upper corner."""
    sides = fitted(image.size, (width, height))
    resized = image if image.size == sides else image.resize(sides, Image.Resampling[pixels.filter.upper()])
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = fill_color(pixels)
    canvas[: sides[1], : sides[0]] = np.asarray(resized)
    return Letterbox(canvas, (sides[0] / image.width, sides[1] / image.height), image.size)


def to_original(boxes: Boxes, scale: tuple[float, float], size: tuple[int, int]) -> Boxes:
    """Boxes on an image of `size` (width, height), within it, from those on the image scaled by `scale`."""
    across, along = scale
    return boxes.moved((1 / across, 1 / along)).clipped(*size)


def fitted(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Width and height of an image of `size` that is resized to just fit into `canvas`."""
    fitting = min(canvas[0] / size[0], canvas[1] / size[1])
    return max(1, round(size[0] * fitting)), max(1, round(size[1] * fitting))


def fill_color(pixels: Preprocessing) -> tuple[int, ...]:
    """The mean color in RGB, which is nearly 0 for the network."""
    mean = [round(value) for value in pixels.mean]
    return tuple(mean * 3 if pixels.channels == "gray" else mean[::-1] if pixels.channels == "bgr" else mean)
