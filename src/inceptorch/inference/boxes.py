"""From images to boxes: the only path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from inceptorch.classifier.config import ClassifierConfig
from inceptorch.errors import BundleError, ImageError, NonFiniteOutputError
from inceptorch.images.boxes import Boxes
from inceptorch.images.inputs import load_image
from inceptorch.images.letterbox import Letterbox, letterbox
from inceptorch.inference.engines.base import Engine
from inceptorch.inference.pipeline import map_batches
from inceptorch.inference.tiles import find_in_tiles

Item = TypeVar("Item")

DEFAULT_THRESHOLD = 0.3  # where a bundle has none of its own


def score_threshold(config: ClassifierConfig) -> float:
    """The score below which a detector's boxes are left out: the one that training found, or the default."""
    return DEFAULT_THRESHOLD if config.metadata.score_threshold is None else config.metadata.score_threshold


@dataclass(frozen=True, eq=False)
class BoxPrediction:
    """The boxes found in one image, in its pixels, best first; or why it cannot be read. `size` is the upright image's
    width and height."""

    source: Any
    result: Boxes | ImageError
    size: tuple[int, int] = (0, 0)

    @property
    def boxes(self) -> Boxes:
        """Raises ImageError for an image that cannot be read."""
        if isinstance(self.result, ImageError):
            raise self.result
        return self.result


class BoxPredictor:
    """An engine of a detector.

    batch_size  images per batch; by default the engine's
    threads     threads that decode images and wait for the engine; by default one per core
    tile_above  a score: images larger than the network's are searched in tiles, and boxes below it are left out before
                those of the tiles are merged; None: every image is reduced to the network's size
    """

    def __init__(
        self,
        engine: Engine,
        batch_size: int | None = None,
        threads: int | None = None,
        tile_above: float | None = None,
    ) -> None:
        if engine.config.detection is None:
            raise BundleError("Cannot find boxes with a classifier. Name a run that was trained on boxes.")
        self.engine, self.head, self.threads = engine, engine.config.detection, threads
        self.batch_size, self.tile_above = batch_size or engine.batch_size, tile_above

    @property
    def images_per_batch(self) -> int:
        return self.batch_size if self.tile_above is None else 1  # then a batch is of tiles

    def stream(
        self, images: Iterable[Item], read: Callable[[Item], Image.Image] = load_image
    ) -> Iterator[BoxPrediction]:
        """The boxes in every image, in order; `read` gives the upright RGB image of an item.

        Images are read and predicted in parallel, a few batches ahead. An ImageError that `read` raises is the result
        of its image. Raises NonFiniteOutputError.
        """

        def predict(items: list[Item]) -> list[BoxPrediction]:
            inputs: list[Letterbox | ImageError] = []
            for item in items:
                try:
                    inputs.append(self.prepare(read(item)))
                except ImageError as error:
                    inputs.append(error)
            found = iter(self.detect([each for each in inputs if isinstance(each, Letterbox)]))
            return [
                BoxPrediction(item, each)
                if isinstance(each, ImageError)
                else BoxPrediction(item, next(found), each.size)
                for item, each in zip(items, inputs, strict=True)
            ]

        ended = Event()

        def detect(tiles: list[Letterbox]) -> list[Boxes]:
            if ended.is_set():  # a huge image has many batches of tiles
                raise CancelledError
            return self.detect(tiles)

        def predict_tiled(items: list[Item]) -> list[BoxPrediction]:
            (item,) = items
            try:
                image = read(item)
            except ImageError as error:
                return [BoxPrediction(item, error)]
            assert self.tile_above is not None
            tile = self.head.width, self.head.height
            boxes = find_in_tiles(image, self.prepare, detect, tile, self.batch_size, self.tile_above)
            return [BoxPrediction(item, boxes, image.size)]

        work = predict if self.tile_above is None else predict_tiled
        for predictions in map_batches(self.engine, work, images, self.images_per_batch, self.threads, ended):
            yield from predictions

    def prepare(self, image: Image.Image) -> Letterbox:
        """An upright RGB image as the detector takes it."""
        return letterbox(image, self.head.width, self.head.height, self.engine.config.preprocessing)

    def detect(self, images: list[Letterbox]) -> list[Boxes]:
        """The boxes in each of N images, in its original pixels. Raises NonFiniteOutputError."""
        if not images:
            return []
        found = self.engine.detect(np.stack([each.image for each in images]))
        if not all(np.isfinite(boxes.xyxy).all() and np.isfinite(boxes.scores).all() for boxes in found):
            raise NonFiniteOutputError
        return [each.to_original(boxes) for each, boxes in zip(images, found, strict=True)]
