"""Training images with boxes: mirrored, zoomed, moved and changed in color together with their boxes.

As for images with labels, every random decision comes from a generator keyed by (seed, epoch, index of the image).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from inceptorch.data.augment import Batch, derive_seed, jitter
from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.data.box_split import BoxSplit
from inceptorch.images.boxes import NO_BOX, Boxes
from inceptorch.images.letterbox import fill_color, letterbox
from inceptorch.images.preprocessing import ImageArray, Preprocessing
from inceptorch.networks.detection import DetectionHead

MIN_VISIBLE = 0.4  # of a box's area, below which what is left of it is no object
MIN_SIDE = 1.0  # pixels of the network's image


class BoxDataset(Dataset[tuple[Tensor, Boxes, int]]):
    """Training images of a split as (uint8 RGB [3, height, width], boxes in its pixels, index).

    `epoch` keys the draws; `size` is not used, as a detector's images have one size. With `augment` False they are as
    in prediction. Crowds are left out: no single box is right there.
    """

    def __init__(
        self,
        split: BoxSplit,
        head: DetectionHead,
        pixels: Preprocessing,
        config: AugmentationConfig,
        seed: int,
        augment: bool = True,
    ):
        self.split, self.head, self.pixels, self.config, self.seed, self.augment = (
            split, head, pixels, config, seed, augment,
        )  # fmt: skip
        self.epoch = 0
        self.size = pixels.size

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, Boxes, int]:
        """One image. Raises ImageError naming the file."""
        image = self.split.image(index)
        place, draw = self._place(index, image.size)
        if not self.augment:
            array = letterbox(image, *self._canvas, self.pixels).image
        else:
            array = place.image(image, self._canvas, self.pixels, self.config.color_jitter, draw)
        return torch.from_numpy(array).permute(2, 0, 1), self._boxes(index, place), index

    def boxes_of(self, index: int) -> Boxes:
        """The boxes of `self[index]`, without its image."""
        width, height = self.split.sizes[index].tolist()
        return self._boxes(index, self._place(index, (width, height))[0])

    @property
    def _canvas(self) -> tuple[int, int]:
        return self.head.width, self.head.height

    def _place(self, index: int, size: tuple[int, int]) -> tuple[Place, random.Random]:
        draw = random.Random(derive_seed(self.seed, self.epoch, index))
        config = self.config if self.augment else None
        return random_place(size, self._canvas, config, draw), draw

    def _boxes(self, index: int, place: Place) -> Boxes:
        boxes = self.split.boxes[index]
        boxes = place.boxes(boxes.select(~boxes.crowd), self._canvas)
        return boxes.select(boxes.sides.min(1, initial=np.inf) >= MIN_SIDE)

    def __getitems__(self, batch: Sequence[int]) -> Batch:
        """A batch at once: uint8 [N, 3, height, width] with channels last in memory, targets [N, M, 5] as
        `as_targets` gives them, indices [N]."""
        images = torch.empty(len(batch), self.head.height, self.head.width, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
        boxes = []
        for place, index in enumerate(batch):
            images[place], found, _ = self[index]
            boxes.append(found)
        return images, as_targets(boxes), torch.tensor(batch, dtype=torch.int64)


class Place(NamedTuple):
    """Where an image lies on a canvas: mirrored or not, `scale` times as large, moved right and down by `offset`."""

    mirrored: bool
    size: tuple[int, int]  # of the image
    scale: float
    offset: tuple[float, float]

    def image(
        self,
        image: Image.Image,
        canvas: tuple[int, int],
        pixels: Preprocessing,
        color_jitter: float,
        draw: random.Random,
    ) -> ImageArray:
        """The image on a canvas [height, width, 3] of the mean color."""
        if self.mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        spans, targets = [], []
        for at, side, room in zip(self.offset, self.size, canvas, strict=True):
            spans.append((max(0.0, -at / self.scale), min(float(side), (room - at) / self.scale)))
            begin = min(max(0, round(at)), room - 1)
            targets.append((begin, max(begin + 1, min(room, round(at + side * self.scale)))))
        (left, right), (top, bottom) = spans
        (x, x_end), (y, y_end) = targets
        filter = Image.Resampling[pixels.filter.upper()]
        part = image.resize((x_end - x, y_end - y), filter, box=(left, top, right, bottom))
        if color_jitter:
            part = jitter(part, color_jitter, draw)
        found = np.empty((canvas[1], canvas[0], 3), np.uint8)
        found[:] = fill_color(pixels)
        found[y:y_end, x:x_end] = np.asarray(part)
        return found

    def boxes(self, boxes: Boxes, canvas: tuple[int, int]) -> Boxes:
        """Those boxes of the image that can still be seen, as far as they can."""
        if self.mirrored:
            boxes = boxes.mirrored(self.size[0])
        placed = boxes.moved(self.scale, *self.offset)
        visible = placed.clipped(*canvas)
        return visible.select(visible.areas >= MIN_VISIBLE * placed.areas)


def random_place(
    size: tuple[int, int], canvas: tuple[int, int], config: AugmentationConfig | None, draw: random.Random
) -> Place:
    """A place for an image of `size` (width, height), larger or smaller than it fits by a factor in `zoom`, anywhere;
    without a config as `letterbox` places it."""
    fitting = min(canvas[0] / size[0], canvas[1] / size[1])
    if config is None:
        return Place(False, size, fitting, (0.0, 0.0))
    mirrored = config.hflip > 0 and draw.random() < config.hflip
    scale = fitting * math.exp(draw.uniform(*map(math.log, config.zoom)))
    # Where there is room, the image moves on the canvas; where there is too little, the canvas on the image.
    slack = [room - side * scale for room, side in zip(canvas, size, strict=True)]
    across, along = (draw.uniform(min(0.0, each), max(0.0, each)) for each in slack)
    return Place(mirrored, size, scale, (across, along))


def as_targets(boxes: Sequence[Boxes]) -> Tensor:
    """The boxes of N images as rows of label, left, top, right, bottom, filled up by rows of label -1: [N, M, 5]."""
    targets = torch.full((len(boxes), max((len(each) for each in boxes), default=0), 5), float(NO_BOX))
    for row, each in zip(targets, boxes, strict=True):
        row[: len(each)] = torch.from_numpy(np.concatenate([each.labels[:, None], each.xyxy], 1))
    return targets
