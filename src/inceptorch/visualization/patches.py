"""The patches of real images to which a channel answers most: what it sees can be trusted more than what is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.data.resolve import open_splits
from inceptorch.errors import DataError, ImageError, NonFiniteOutputError
from inceptorch.images.inputs import load_image
from inceptorch.images.preprocessing import ImageArray
from inceptorch.inference.inputs import find_images, to_input
from inceptorch.inference.pipeline import in_batches
from inceptorch.utils.progress import Progress
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.pixels import to_tensor
from inceptorch.visualization.subjects import Subject

COUNT = 9
BATCH_SIZE = 16
MASS = 0.9  # fraction of the gradient in a patch
MIN_PATCH = 1 / 16  # of the image's side


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of an image.

    file    the image's name
    value   of the channel there
    box     left, top, right and bottom in what the network sees of it
    pixels  uint8 [H, W, 3]
    """

    file: str
    value: float
    box: tuple[int, int, int, int]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TopPatches:
    """The patches of each subject, highest first, from `seen` images; `digest` is a hash of their pixels."""

    patches: list[list[Patch]]
    seen: int
    skipped: int
    digest: str


@dataclass(frozen=True)
class _Images:
    """Images that are read by number."""

    names: Sequence[str]
    read: Callable[[int], Image.Image]


def top_patches(
    classifier: Classifier, subjects: Sequence[Subject], data: str | Path, progress: Progress, count: int = COUNT
) -> TopPatches:
    """The `count` images of DATA with the highest `Subject.peak`, at most one patch of each.

    DATA is what training takes, with all of its splits, or a folder of images. One pass keeps a few numbers for each
    subject; the best are read again. A patch is the square that holds 90 % of the gradient of the value, around its
    center of mass. Images that cannot be read are counted. Raises DataError if none can be read.
    """
    layers = sorted({layer for subject in subjects for layer in subject.peak.layers})
    maps = Maps(classifier, layers)
    images = _open(data)
    best: list[list[tuple[float, int]]] = [[] for _ in subjects]
    digest, seen, skipped = hashlib.sha256(), 0, 0

    def crops() -> Iterator[tuple[int, ImageArray]]:
        nonlocal skipped
        for number in progress.track(range(len(images.names)), len(images.names), "photographs"):
            try:
                yield number, to_input(images.read(number), classifier.config)
            except ImageError:
                skipped += 1

    for batch in in_batches(crops(), BATCH_SIZE):
        numbers, arrays = zip(*batch, strict=True)
        seen += len(batch)
        pixels = np.stack(arrays)
        digest.update(pixels.tobytes())
        with torch.no_grad():
            found = maps(to_tensor(pixels, maps.device))
            for position, subject in enumerate(subjects):
                values = subject.peak.value(found)
                if not bool(torch.isfinite(values).all()):
                    raise NonFiniteOutputError
                ranked = [*best[position], *zip(values.tolist(), numbers, strict=True)]
                best[position] = sorted(ranked, key=lambda one: (-one[0], one[1]))[:count]
    if not seen:
        raise DataError(f"Cannot cut patches from {data}: it holds no image that can be read. Try another --data.")
    if skipped:
        progress.info(f"{skipped} of {len(images.names)} images of {data} could not be read; left out")
    cut = progress.track(zip(subjects, best, strict=True), len(subjects), "patches")
    patches = [_patches(classifier, maps, subject, ranked, images) for subject, ranked in cut]
    return TopPatches(patches, seen, skipped, digest.hexdigest())


def _open(data: str | Path) -> _Images:
    """The images of all splits; of a folder without classes, those in it."""
    splits = [read() for read in open_splits(data).values()]
    if not any(map(len, splits)) and Path(data).is_dir():
        files = list(find_images(Path(data)))
        return _Images(files, lambda number: load_image(files[number]))
    whole = [(split, index) for split in splits for index in range(len(split))]
    names = [split.file(index) for split, index in whole]
    return _Images(names, lambda number: whole[number][0].image(whole[number][1]))


def _patches(
    classifier: Classifier, maps: Maps, subject: Subject, ranked: Sequence[tuple[float, int]], images: _Images
) -> list[Patch]:
    crops = [to_input(images.read(number), classifier.config) for _, number in ranked]
    x = to_tensor(np.stack(crops), maps.device).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(subject.peak.value(maps(x)).sum(), x)
    boxes = receptive_boxes(gradient.abs().sum(1).cpu().numpy())
    return [
        Patch(images.names[number], value, box, crop[box[1] : box[3], box[0] : box[2]])
        for (value, number), box, crop in zip(ranked, boxes, crops, strict=True)
    ]


def receptive_boxes(strengths: NDArray[np.float32]) -> list[tuple[int, int, int, int]]:
    """Squares of one size in images, of each of which the strengths [N, H, W] of the gradient are given: around the
    center of mass, and so large that they hold `MASS` of it on average. Left, top, right and bottom."""
    height, width = strengths.shape[1:]
    total = strengths.sum((1, 2))
    if not (total > 0).all():  # a channel that is zero everywhere looks at nothing
        return [(0, 0, width, height)] * len(strengths)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    y, x = strengths.sum(2) @ rows / total, strengths.sum(1) @ columns / total
    distance = np.maximum(abs(rows[None, :, None] - y[:, None, None]), abs(columns[None, None, :] - x[:, None, None]))
    # The weight of a pixel is its part of its own image's gradient.
    order = distance.ravel().argsort()
    mass = (strengths / total[:, None, None]).ravel()[order].cumsum() / len(strengths)
    radius = float(distance.ravel()[order][min(int(np.searchsorted(mass, MASS)), len(mass) - 1)])
    short = min(height, width)
    side = min(max(2 * round(radius), round(MIN_PATCH * short), 1), short)
    boxes = []
    for center_x, center_y in zip(x.tolist(), y.tolist(), strict=True):
        left, top = (
            min(max(round(center - side / 2), 0), length - side)
            for center, length in ((center_x, width), (center_y, height))
        )
        boxes.append((left, top, left + side, top + side))
    return boxes
