"""Faults of boxes: those that reading them found, and boxes that are hardly meant so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inceptorch.checks.findings import LONG_SIDE, SMALL, THIN, Finding
from inceptorch.checks.scan import DatasetScan
from inceptorch.data import BoxSplit
from inceptorch.images.boxes import Boxes, iou
from inceptorch.inference.draw_boxes import color_of

SAME = 0.95  # intersection over union above which two boxes of one class are the same
WHOLE = 0.98  # of the image's width and of its height
BOUNDS = (8, 16, 32, 64, 128, 256)  # pixels of the square root of a box's area, at a long side of LONG_SIDE


def box_findings(scan: DatasetScan) -> Iterator[Finding]:
    """The faults of all splits that have boxes."""
    for name, split in scan.splits.items():
        if not isinstance(split, BoxSplit):
            continue
        first = int(scan.indices(name)[0]) if len(split) else 0
        index_of = {split.file(position): first + position for position in range(len(split))}
        for problem in split.problems:
            index = index_of.get(problem.image)
            yield Finding(problem.kind, (problem.file,), problem.fault, () if index is None else (index,))
        for position, boxes in enumerate(split.boxes):
            for kind, note in _odd_boxes(boxes, split.sizes[position]):
                yield Finding(kind, (split.file(position),), note, (first + position,))


def _odd_boxes(boxes: Boxes, size: NDArray[np.int32]) -> Iterator[tuple[str, str]]:
    """The kinds of findings of an image of this width and height, each once."""
    if not len(boxes):
        return
    shorter = _scaled_sides(boxes, size).min(1)
    for kind, below, above in (("thin-box", THIN, 0), ("small-box", SMALL, THIN)):
        count = int(((shorter < below) & (shorter >= above)).sum())
        if count:
            sides = boxes.sides[np.where(shorter >= above, shorter, np.inf).argmin()]
            limit = f"{below} pixel{'' if below == 1 else 's'}"
            yield kind, f"has {_count(count)} below {limit}, the smallest of {sides[0]:.3g}x{sides[1]:.3g}"
    alike = (iou(boxes.xyxy, boxes.xyxy) > SAME) & (boxes.labels[:, None] == boxes.labels)
    count = int(np.triu(alike, 1).any(0).sum())
    if count:
        yield "duplicate-boxes", f"has {_count(count)} more than once"
    count = int((boxes.sides >= WHOLE * size).all(1).sum())
    if count:
        yield "full-box", f"has {_count(count)} around all of it"


def _scaled_sides(boxes: Boxes, size: NDArray[np.int32]) -> NDArray[np.float64]:
    """Width and height at the working size, [N, 2]."""
    sides: NDArray[np.float64] = boxes.sides * (LONG_SIDE / int(size.max()))
    return sides


def _count(count: int) -> str:
    return f"{count} box{'' if count == 1 else 'es'}"


def draw_boxes(image: Image.Image, boxes: Boxes, size: int) -> Image.Image:
    """The image, reduced to `size` pixels at most, with its boxes; each class has a color of its own, as far as there
    are colors."""
    scale = min(1.0, size / max(image.size))
    image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BOX)
    pen = ImageDraw.Draw(image)
    for edges, label in zip(boxes.moved(scale).xyxy.tolist(), boxes.labels.tolist(), strict=True):
        left, top, right, bottom = edges
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color_of(label), width=2)
    return image


def describe_boxes(split: BoxSplit) -> str:
    """How many boxes an image has, and a histogram of their sizes."""
    counts = [len(boxes) for boxes in split.boxes]
    if not sum(counts):
        return "no boxes"
    sides = [_scaled_sides(boxes, size) for boxes, size in zip(split.boxes, split.sizes, strict=True)]
    roots = np.sqrt(np.concatenate(sides).prod(1))
    bins = np.bincount(np.searchsorted(BOUNDS, roots, side="right"), minlength=len(BOUNDS) + 1).tolist()
    names = [f"below {BOUNDS[0]}", *(f"{low} to {high}" for low, high in pairwise(BOUNDS))]
    listed = ", ".join(f"{name}: {count}" for name, count in zip([*names, f"{BOUNDS[-1]} and more"], bins, strict=True))
    return (
        f"{min(counts)} to {max(counts)} boxes on an image, {np.mean(counts):.1f} on average; sizes in pixels at a "
        f"long side of {LONG_SIDE}: {listed}"
    )
