"""The images in which each unit of a layer is most active, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

COUNT = 8  # images of each unit
WINDOW = 8  # places of the map that the part of an image around a unit's place is wide
MIN_SIDE = 32  # pixels of that part, or less in a smaller image

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class TopImage:
    """An image, the unit's highest value in it, and the place [column, line] of that in the map."""

    index: int
    value: float
    place: tuple[int, int]


class TopImages:
    """The images with the highest values of each of `channels` units, at most one place of each image."""

    def __init__(self, channels: int):
        self.values = np.zeros((channels, 0))
        self.images, self.places = (np.zeros((channels, 0), np.int64) for _ in range(2))
        self.size = (1, 1)  # height and width of the map

    def add(self, maps: Tensor, indices: Sequence[int]) -> None:
        """Add maps [N, C, H, W] or [N, C] of the images with these numbers. Of equal values the first image stays."""
        if maps.ndim == 2:
            maps = maps[:, :, None, None]
        self.size = (maps.shape[2], maps.shape[3])
        highest = maps.flatten(2).max(2)
        values = np.concatenate([self.values, highest.values.T.double().cpu().numpy()], 1)
        places = np.concatenate([self.places, highest.indices.T.cpu().numpy()], 1)
        images = np.concatenate([self.images, np.broadcast_to(np.array(indices), highest.values.T.shape)], 1)
        best = np.argsort(-values, axis=1, kind="stable")[:, :COUNT]
        self.values, self.places, self.images = (np.take_along_axis(each, best, 1) for each in (values, places, images))

    def of(self, unit: int) -> list[TopImage]:
        """The images of a unit, the highest value first; those in which it is not above zero are left out."""
        found = zip(self.images[unit].tolist(), self.values[unit].tolist(), self.places[unit].tolist(), strict=True)
        width = self.size[1]
        return [TopImage(index, value, (at % width, at // width)) for index, value, at in found if value > 0]

    def center(self, image: TopImage, width: int, height: int) -> tuple[float, float]:
        """The middle of the place, x and y in pixels of the network's input."""
        (column, line), (lines, columns) = image.place, self.size
        return (column + 0.5) * width / columns, (line + 0.5) * height / lines

    def box(self, image: TopImage, width: int, height: int) -> Box:
        """A square part of the network's input around the place: left, top, right and bottom. It is 8 places wide, at
        least 32 pixels, and lies within the input."""
        x, y = self.center(image, width, height)
        side = round(max(MIN_SIDE, WINDOW * max(width / self.size[1], height / self.size[0])))
        side = min(side, width, height)
        left, top = (min(max(round(at - side / 2), 0), most - side) for at, most in ((x, width), (y, height)))
        return left, top, left + side, top + side
