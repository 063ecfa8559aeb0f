"""Maps of a frozen body for whole images, computed once: every region of an image is pooled from them.

R-CNN of 2014 ran the network on every region. Here it runs once an image, as Fast R-CNN has it (arXiv:1504.08083).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from inceptorch.classifier import Classifier
from inceptorch.classifier.classifier import copy_body
from inceptorch.data.box_split import BoxSplit
from inceptorch.images.boxes import Boxes
from inceptorch.images.letterbox import fitted, letterbox
from inceptorch.models.detector import Detector
from inceptorch.networks.detection import STEP, DetectionHead, canvas, default_levels
from inceptorch.training.map_cache import packed_maps, write_rows
from inceptorch.utils.progress import Progress

BATCH = 8
Corners = NDArray[np.float64]  # boxes [N, 4]: left, top, right, bottom


@dataclass(frozen=True)
class View:
    """How a network sees the images."""

    mirrored: bool = False

    def describe(self) -> str:
        return "mirrored" if self.mirrored else "as they are"


@dataclass(frozen=True, eq=False)
class ImageMaps:
    """The maps of a split's images as a view shows them: float16 rows [N, numbers] as `Detector.pack` makes them."""

    model: Detector
    view: View
    split: BoxSplit
    rows: NDArray[np.float16]

    def maps(self, index: int) -> dict[str, Tensor]:
        """The maps [C, H, W] of an image by the names of their layers."""
        row = torch.from_numpy(self.rows[index : index + 1].astype(np.float32))
        return {name: x[0] for name, x in zip(self.model.detection.levels, self.model.unpack(row), strict=True)}

    def scale(self, index: int) -> tuple[float, float]:
        """The factors from an image's pixels to those of the network's image."""
        width, height = self.split.sizes[index].tolist()
        across, along = fitted((width, height), (self.model.detection.width, self.model.detection.height))
        return across / width, along / height

    def seen(self, index: int, boxes: Boxes) -> Boxes:
        """Boxes of an image where they lie on the network's own image."""
        mirrored = boxes.mirrored(int(self.split.sizes[index, 0])) if self.view.mirrored else boxes
        return mirrored.moved(self.scale(index))

    def whole(self, index: int) -> Corners:
        """The image itself as a box [1, 4] on the network's image."""
        width, height = self.split.sizes[index].tolist()
        return self.seen(index, Boxes.of([[0, 0, width, height]], [0])).xyxy


def body_of(classifier: Classifier, split: BoxSplit, size: int) -> Detector:
    """The body of a classifier for images of a split with a longer side of `size` pixels, below the head of a
    class-free detector. Raises TableError and BundleError where the network has no maps that serve."""
    net = classifier.config.network
    width, height = canvas(split.sizes.tolist(), STEP * round(size / STEP))
    head = DetectionHead(default_levels(net), width, height, channels=64, depth=1)
    model = Detector(net, head, 1, classifier.preprocessing.in_chans)
    copy_body(classifier.model, model)
    return model.eval()


def image_maps(
    classifier: Classifier, model: Detector, split: BoxSplit, view: View, path: Path, progress: Progress
) -> ImageMaps:
    """The maps of all images of a split, from the file at `path` where an interrupted study left them. Raises
    DiskError."""
    head = model.detection

    def batches() -> Iterator[NDArray[np.float16]]:
        starts = range(0, len(split), BATCH)
        what = f"maps of {split.name} images, {view.describe()}"
        for start in progress.track(starts, len(split), what, size=lambda _: BATCH):
            images = [split.image(index) for index in range(start, min(start + BATCH, len(split)))]
            seen = [each.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.mirrored else each for each in images]
            crops = [letterbox(each, head.width, head.height, classifier.preprocessing).image for each in seen]
            yield packed_maps(model, classifier.prepare(crops))

    if not path.exists():
        write_rows(path, batches(), (len(split), sum(map(prod, model.shapes))), "fewer --images, or another --out")
    return ImageMaps(model, view, split, np.load(path, mmap_mode="r"))
