"""Boxes around the objects in an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

NO_BOX = -1  # label where there is no box


class Box(TypedDict):
    """A box as JSON has it: its class, score 0 to 1, and left, top, width, height in pixels of the upright image."""

    label: str
    index: int
    score: float
    box: list[float]


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes in pixels of the upright image, whose left upper corner is (0, 0); right and bottom are exclusive, so
    that a box's width is right - left.

    xyxy       left, top, right, bottom, float64 [N, 4]
    labels     index the classes, int32 [N]
    scores     0 to 1, float32 [N]; 1 for annotations
    difficult  neither asked for nor wrong, as Pascal VOC calls it, bool [N]
    crowd      one box around many objects, COCO's iscrowd, bool [N]
    """

    xyxy: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    labels: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    difficult: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def of(
        cls,
        xyxy: ArrayLike,
        labels: ArrayLike,
        scores: ArrayLike | None = None,
        difficult: ArrayLike | None = None,
        crowd: ArrayLike | None = None,
    ) -> Boxes:
        """From anything that NumPy reads; by default the scores are 1, and no box is difficult or a crowd."""
        labels = np.asarray(labels, np.int32).reshape(-1)
        count = len(labels)
        return cls(
            np.asarray(xyxy, np.float64).reshape(count, 4),
            labels,
            np.ones(count, np.float32) if scores is None else np.asarray(scores, np.float32).reshape(count),
            np.zeros(count, np.bool_) if difficult is None else np.asarray(difficult, np.bool_).reshape(count),
            np.zeros(count, np.bool_) if crowd is None else np.asarray(crowd, np.bool_).reshape(count),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sides(self) -> NDArray[np.float64]:
        """Width and height, [N, 2]."""
        sides: NDArray[np.float64] = self.xyxy[:, 2:] - self.xyxy[:, :2]
        return sides

    @property
    def areas(self) -> NDArray[np.float64]:
        """In square pixels, [N]; 0 for a box that ends before it begins."""
        areas: NDArray[np.float64] = self.sides.clip(0).prod(1)
        return areas

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64] | Sequence[int]) -> Boxes:
        """These boxes alone, in this order."""
        at = np.asarray(which)
        at = at if len(at) else at.astype(np.int64)
        return Boxes(self.xyxy[at], self.labels[at], self.scores[at], self.difficult[at], self.crowd[at])

    def moved(self, scale: float | tuple[float, float] = 1.0, left: float = 0.0, top: float = 0.0) -> Boxes:
        """The boxes on the image scaled by a factor (or one for x and one for y), then moved right and down."""
        scales = np.broadcast_to(np.asarray(scale, np.float64), 2)
        return replace(self, xyxy=self.xyxy * np.tile(scales, 2) + np.array([left, top, left, top]))

    def mirrored(self, width: float) -> Boxes:
        """The boxes on the image, `width` pixels wide, mirrored left to right."""
        left, top, right, bottom = self.xyxy.T
        return replace(self, xyxy=np.stack([width - right, top, width - left, bottom], 1))

    def clipped(self, width: float, height: float) -> Boxes:
        """The parts of the boxes within an image of this size; the sides of a box outside of it become 0."""
        return replace(self, xyxy=self.xyxy.clip(0, np.array([width, height, width, height], np.float64)))

    def to_json(self, classes: Sequence[str]) -> list[Box]:
        """The boxes in this order, coordinates to a thousandth of a pixel."""
        rows = zip(self.xyxy.tolist(), self.labels.tolist(), self.scores.tolist(), strict=True)
        return [
            Box(
                label=classes[label],
                index=label,
                score=score,
                box=[round(value, 3) for value in (left, top, right - left, bottom - top)],
            )
            for (left, top, right, bottom), label, score in rows
        ]


def joined(parts: Sequence[Boxes]) -> Boxes:
    """The boxes of several sets as one."""
    if not parts:
        return Boxes()
    names = ("xyxy", "labels", "scores", "difficult", "crowd")
    return Boxes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def intersections(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area that each box of [N, 4] shares with each of [M, 4], in square pixels, [N, M]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared: NDArray[np.float64] = (high - low).clip(0).prod(2)
    return shared


def iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box of [N, 4] with each of [M, 4], [N, M]; 0 where both are empty."""
    shared = intersections(one, other)
    areas, others = ((each[:, 2:] - each[:, :2]).clip(0).prod(1) for each in (one, other))
    union = areas[:, None] + others[None] - shared
    found: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found
