"""Comparison of a detector's engines on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.deployment.compare import fp32_engines, graph_engines
from inceptorch.errors import ExportError
from inceptorch.images.boxes import Boxes, iou
from inceptorch.inference.engines import Engine
from inceptorch.inference.engines.factory import open_graph
from inceptorch.networks.detection import MAX_IOU

BATCH_SIZES = (1, 2, 7)  # with which a file must work
BATCH_SIZE = 8  # of the reference
MAX_PIXELS, MAX_SCORE = 0.1, 1e-4  # differences of engines in fp32
# Of the boxes, or two of a few, that have no equal in fp32: rounding decides which of two boxes with the same score
# suppresses the other, and about boxes at the bounds of score and IoU.
MAX_UNEQUAL, FEW_UNEQUAL = 0.01, 2
SAME_OBJECT = 0.5  # IoU of boxes that are compared in int8
MAX_OTHERS = 0.5  # of the boxes in int8: a graph beyond is broken, not rounded


@dataclass(frozen=True)
class BoxDifference:
    """The differences of an engine's boxes from those of the reference.

    boxes    of the reference on all images; in int8, those of good scores
    pixels   the largest difference of an edge between equal boxes
    score    the largest difference of score between them
    unequal  fraction of the boxes of both that have no equal: a box of the same class, in fp32 within MAX_PIXELS and
             MAX_SCORE, in int8 with an IoU of 0.5
    """

    engine: str
    boxes: int
    pixels: float
    score: float
    unequal: float


def compare_boxes_fp32(folder: Path, graph: bytes, images: NDArray[np.uint8]) -> tuple[str, list[BoxDifference]]:
    """The first engine (torch if installed) and the others' differences, on images [N, height, width, 3]. Raises
    ExportError if one is too large."""
    first, *others = fp32_engines(folder, graph)
    expected = detect(first, images)
    differences = []
    for engine in others:
        for count in (*BATCH_SIZES, len(images)):
            found = detect(engine, images[:count], count if count in BATCH_SIZES else BATCH_SIZE)
            difference = box_difference(engine.name, found, expected[:count], MAX_IOU, MAX_PIXELS, MAX_SCORE)
            total = sum(map(len, found)) + difference.boxes
            if difference.unequal > MAX_UNEQUAL and round(difference.unequal * total) > FEW_UNEQUAL:
                overlapping = box_difference(engine.name, found, expected[:count], MAX_IOU)
                raise ExportError(
                    f"Cannot export: {engine.name} disagrees with {first.name} on {difference.unequal:.1%} of the "
                    f"boxes of {count} images. Boxes that overlap differ by up to {overlapping.pixels:.2g} pixels and "
                    f"{overlapping.score:.2g} in score."
                )
        differences.append(difference)
    return first.name, differences


def compare_boxes_int8(fp32: Engine, graph: bytes, images: NDArray[np.uint8], min_score: float) -> list[BoxDifference]:
    """The differences of a graph in int8 from fp32, on every installed engine, of the boxes with at least this score.
    Raises ExportError if half of them are others."""
    expected = [each.select(each.scores >= min_score) for each in detect(fp32, images)]
    differences = []
    for name in graph_engines():
        found = detect(open_graph(graph, "the int8 graph", name, streams=1), images)
        found = [each.select(each.scores >= min_score) for each in found]
        difference = box_difference(name, found, expected, SAME_OBJECT)
        if difference.unequal > MAX_OTHERS:
            raise ExportError(
                f"Cannot export in int8: on {name}, {difference.unequal:.0%} of the boxes are others than in fp32. "
                "Nothing was written. Try exporting without --int8."
            )
        differences.append(difference)
    return differences


def detect(engine: Engine, images: NDArray[np.uint8], batch_size: int = BATCH_SIZE) -> list[Boxes]:
    """The boxes in each of N images [N, height, width, 3], found in batches."""
    starts = range(0, len(images), batch_size)
    return [boxes for start in starts for boxes in engine.detect(images[start : start + batch_size])]


def box_difference(
    engine: str,
    found: Sequence[Boxes],
    expected: Sequence[Boxes],
    min_iou: float,
    max_pixels: float = np.inf,
    max_score: float = np.inf,
) -> BoxDifference:
    """The differences between the answers for N images. Boxes are equal if they have the same class, overlap so much,
    and differ by no more than this."""
    pixels = score = 0.0
    equal = 0
    for one, other in zip(found, expected, strict=True):
        for row, column in pairs(one, other, min_iou):
            apart = float(np.abs(one.xyxy[row] - other.xyxy[column]).max())
            scores = abs(float(one.scores[row]) - float(other.scores[column]))
            if apart <= max_pixels and scores <= max_score:
                equal, pixels, score = equal + 1, max(pixels, apart), max(score, scores)
    boxes = sum(map(len, expected))
    total = boxes + sum(map(len, found))
    return BoxDifference(engine, boxes, pixels, score, 1 - 2 * equal / total if total else 0.0)


def pairs(one: Boxes, other: Boxes, min_iou: float) -> Iterator[tuple[int, int]]:
    """The boxes of a class that overlap so much, as indices into the two: each box at most once, the nearest first.
    Boxes without area overlap none, but may be at the same place."""
    apart = np.abs(one.xyxy[:, None] - other.xyxy[None]).max(2)
    near = (iou(one.xyxy, other.xyxy) > min_iou) | (apart <= MAX_PIXELS)
    rows, columns = (near & (one.labels[:, None] == other.labels)).nonzero()
    order = np.argsort(apart[rows, columns], kind="stable")
    taken: tuple[set[int], set[int]] = set(), set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in taken[0] and column not in taken[1]:
            taken[0].add(row)
            taken[1].add(column)
            yield row, column
