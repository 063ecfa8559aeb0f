"""Scores equal pycocotools' and those of plain implementations of the other rules."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inceptorch.evaluation.detection import evaluate_boxes
from inceptorch.images.boxes import Boxes

CLASSES = ("cat", "dog", "owl", "never")


def random_boxes(random: np.random.Generator, count: int, *, annotated: bool) -> Boxes:
    """Boxes of whole pixels, of all three sizes, many of which overlap; few scores, so that many are equal."""
    corners = random.integers(0, 60, (count, 2)) * random.choice([1, 3])
    sides = random.integers(1, 50, (count, 2)) * random.choice([1, 2, 4], (count, 1))
    none = np.zeros(count, np.bool_)
    return Boxes.of(
        np.concatenate([corners, corners + sides], 1),
        random.integers(0, 3, count),
        None if annotated else random.integers(0, 12, count) / 12,
        crowd=random.random(count) < 0.15 if annotated else none,
    )


def random_case(random: np.random.Generator) -> tuple[list[Boxes], list[Boxes]]:
    """Objects and detections of one to six images: objects found well, badly or not at all, and false ones."""
    truths, found = [], []
    for _ in range(random.integers(1, 7)):
        true = random_boxes(random, random.choice([0, 3, 12]), annotated=True)
        copies = true.select(random.integers(0, len(true), random.integers(0, 2 * len(true))) if len(true) else [])
        moved = copies.xyxy + random.integers(-3, 4, copies.xyxy.shape) * random.choice([0, 1, 2])
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        right = Boxes.of(moved, copies.labels, random.integers(0, 12, len(copies)) / 12)
        false = random_boxes(random, random.choice([0, 2, 150], p=[0.4, 0.5, 0.1]), annotated=False)
        truths.append(true)
        found.append(joined_in_any_order(random, right, false))
    return truths, found


def joined_in_any_order(random: np.random.Generator, one: Boxes, other: Boxes) -> Boxes:
    order = random.permutation(len(one) + len(other))
    return Boxes.of(
        np.concatenate([one.xyxy, other.xyxy])[order],
        np.concatenate([one.labels, other.labels])[order],
        np.concatenate([one.scores, other.scores])[order],
    )


def by_pycocotools(truths: list[Boxes], found: list[Boxes]) -> list[float]:
    """The twelve figures; -1 where there is nothing to average."""

    def rows(boxes: list[Boxes]) -> list[dict[str, Any]]:
        return [
            {
                "image_id": image,
                "category_id": int(each.labels[i]),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "score": float(each.scores[i]),
                "iscrowd": int(each.crowd[i]),
            }
            for image, each in enumerate(boxes)
            for i, (left, top, right, bottom) in enumerate(each.xyxy.tolist())
        ]

    def dataset(boxes: list[Boxes]) -> COCO:
        out = COCO()
        out.dataset = {
            "images": [{"id": image} for image in range(len(boxes))],
            "categories": [{"id": label} for label in range(len(CLASSES))],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows(boxes), 1)],
        }
        out.createIndex()
        return out

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(dataset(truths), dataset(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures: list[float] = evaluation.stats.tolist()
    return figures


def test_the_twelve_figures_of_coco_equal_pycocotools() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        truths, found = random_case(random)
        got = evaluate_boxes(truths, found, CLASSES, "coco", bootstrap=0).coco
        assert got is not None
        figures = [-1.0 if each is None else each for each in got.values()]
        assert figures == pytest.approx(by_pycocotools(truths, found), abs=1e-9)
