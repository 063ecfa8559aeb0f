"""Matching detections with objects, for all images at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inceptorch.errors import DataError, NonFiniteOutputError, ProtocolError
from inceptorch.evaluation.detection.rules import ANY_SIZE, Rule
from inceptorch.images.boxes import Boxes, joined

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PAIRS = 1 << 20  # that are compared at once, which bounds memory


@dataclass(frozen=True)
class Pool:
    """The boxes of all images, sorted by image, class, and score from the highest; equal scores stay in their order.

    images, indices  of each box: its image, and its place in that image's boxes, [N]
    cells            a number for its image and class, ascending, [N]
    ranks            its place among those of its image and class, [N]
    """

    boxes: Boxes
    images: Ints
    indices: Ints
    cells: Ints
    ranks: Ints

    @classmethod
    def of(cls, boxes: Sequence[Boxes], classes: int, max_boxes: int = 0) -> Pool:
        """All boxes, or of each image and class those `max_boxes` of the highest scores."""
        counts = np.array([len(each) for each in boxes], np.int64)
        every = joined(boxes)
        images = np.repeat(np.arange(len(boxes)), counts)
        cells = images * classes + every.labels
        order = np.lexsort((-every.scores, cells))
        cells = cells[order]
        ranks = np.arange(len(cells)) - np.searchsorted(cells, cells)
        kept = ranks < max_boxes if max_boxes else np.ones(len(ranks), np.bool_)
        order = order[kept]
        indices = np.arange(len(images)) - np.repeat(counts.cumsum() - counts, counts)
        return cls(every.select(order), images[order], indices[order], cells[kept], ranks[kept])

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def passed_over(self) -> Flags:
        """Objects that are neither asked for nor wrong, however often they are found, [N]."""
        return self.boxes.difficult | self.boxes.crowd


@dataclass(frozen=True)
class Pairs:
    """Pairs of a detection and an object of its image and class (rows of their pools), by detection, that overlap
    enough for the lowest threshold. [P]"""

    found: Ints
    truth: Ints
    overlap: Floats


@dataclass(frozen=True)
class Matches:
    """What D detections are at T thresholds.

    truth    the row of the object that each one is matched with, or -1, [T, D]
    ignored  neither right nor wrong, [T, D]
    """

    truth: Ints
    ignored: Flags

    @property
    def right(self) -> Flags:
        """Whether the detection counts as right, [T, D]."""
        return (self.truth >= 0) & ~self.ignored


def check_boxes(truths: Sequence[Boxes], found: Sequence[Boxes], classes: int) -> None:
    """Raises an error with a sentence for boxes that cannot be evaluated."""
    if not classes:
        raise ProtocolError("Cannot evaluate boxes: there are no classes. Try the classes of the annotations.")
    if len(truths) != len(found):
        raise ProtocolError(
            f"Cannot evaluate boxes: there are annotations of {len(truths)} images, and detections in {len(found)}. "
            "Try the images that were predicted."
        )
    for number, (true, given) in enumerate(zip(truths, found, strict=True)):
        if not np.isfinite(true.xyxy).all():
            raise DataError(f"Cannot evaluate boxes: an annotation of image {number} is nan or infinite. Correct it.")
        if not (np.isfinite(given.xyxy).all() and np.isfinite(given.scores).all()):
            raise NonFiniteOutputError(
                f"Cannot evaluate boxes: a detection in image {number} has a score or corner that is nan or infinite. "
                "Try other weights, or a lower learning rate."
            )
        for each in (true, given):
            if len(each) and not 0 <= each.labels.min() <= each.labels.max() < classes:
                raise ProtocolError(
                    f"Cannot evaluate boxes: a box of image {number} has a class outside of 0 to {classes - 1}. "
                    "Try the classes that the detector was trained on."
                )


def object_thresholds(truths: Pool, rule: Rule) -> Floats:
    """The least IoU with each object, [T, N]."""
    thresholds = np.repeat(np.array(rule.thresholds)[:, None], len(truths), 1)
    if rule.tolerance:
        sides = truths.boxes.sides.clip(0) + rule.inclusive
        thresholds = np.minimum(thresholds, sides.prod(1) / (sides + rule.tolerance).prod(1))
    return thresholds


def pairs_of(truths: Pool, found: Pool, least: Floats, *, inclusive: bool = False) -> Pairs:
    """The pairs whose IoU is at least that of the object, `least` [N]. With a crowd, the intersection is divided by
    the area of the detection alone, as in pycocotools."""
    shift = np.array([0.0, 0.0, 1.0, 1.0]) * inclusive
    ours, theirs = found.boxes.xyxy + shift, truths.boxes.xyxy + shift
    own, other = ((each[:, 2:] - each[:, :2]).clip(0).prod(1) for each in (ours, theirs))
    parts = []
    for detection, truth in _same_cell(truths, found):
        low = np.maximum(ours[detection, :2], theirs[truth, :2])
        high = np.minimum(ours[detection, 2:], theirs[truth, 2:])
        shared = (high - low).clip(0).prod(1)
        whole = own[detection] + np.where(truths.boxes.crowd[truth], 0.0, other[truth] - shared)
        overlap = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
        near = (overlap >= least[truth]) & (overlap > 0)
        parts.append((detection[near], truth[near], overlap[near]))
    if not parts:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _same_cell(truths: Pool, found: Pool) -> Iterator[tuple[Ints, Ints]]:
    """Every detection with every object of its image and class, in parts of about PAIRS."""
    first = np.searchsorted(truths.cells, found.cells)
    counts = np.searchsorted(truths.cells, found.cells, side="right") - first
    rows = np.flatnonzero(counts)
    ends = counts[rows].cumsum()
    cuts = np.searchsorted(ends, np.arange(PAIRS, ends[-1] if len(ends) else 0, PAIRS))
    for part in np.split(rows, np.unique(cuts)):
        number = counts[part]
        offsets = np.arange(number.sum()) - np.repeat(number.cumsum() - number, number)
        yield np.repeat(part, number), np.repeat(first[part], number) + offsets


def match(
    truths: Pool, found: Pool, pairs: Pairs, thresholds: Floats, rule: Rule, size: tuple[float, float] = ANY_SIZE
) -> Matches:
    """Match by a rule at thresholds [T, objects]; objects outside of `size` (areas from and to) are passed over, and
    so are detections outside of it that find nothing."""
    ignored = truths.passed_over | outside(truths.boxes, size)
    matching = _match_free if rule.match == "free" else _match_best
    truth = matching(truths, found, pairs, thresholds, rule, ignored)
    passed_over = np.where(truth >= 0, ignored[truth] if len(ignored) else False, outside(found.boxes, size))
    return Matches(truth, passed_over)


def _near(overlap: Floats, thresholds: Floats, rule: Rule) -> Flags:
    near: Flags = overlap > thresholds if rule.strict else overlap >= thresholds
    return near


def outside(boxes: Boxes, size: tuple[float, float]) -> Flags:
    areas = boxes.areas
    outside: Flags = (areas < size[0]) | (areas > size[1])
    return outside


def _match_best(truths: Pool, found: Pool, pairs: Pairs, thresholds: Floats, rule: Rule, ignored: Flags) -> Ints:
    """Each detection with the object of greatest IoU, if it is the first to find it; with a crowd, whose overlap is no
    IoU, only where there is no object."""
    hits = np.full((len(thresholds), len(found)), -1, np.int64)
    tie = pairs.truth if rule.ties == "first" else -pairs.truth
    order = np.lexsort((tie, -pairs.overlap, truths.boxes.crowd[pairs.truth], pairs.found))
    detection, truth = pairs.found[order], pairs.truth[order]
    for near, hit in zip(_near(pairs.overlap[order], thresholds[:, truth], rule), hits, strict=True):
        rows, at = np.unique(detection[near], return_index=True)
        best = truth[near][at]
        earliest = np.zeros(len(best), np.bool_)
        earliest[np.unique(best, return_index=True)[1]] = True
        accepted = earliest | ignored[best]
        hit[rows[accepted]] = best[accepted]
    return hits


def _match_free(truths: Pool, found: Pool, pairs: Pairs, thresholds: Floats, rule: Rule, ignored: Flags) -> Ints:
    """Each detection with the object of greatest IoU that no better one has found; an ignored one only where there is
    no other. The detections of equal rank in all images and classes take their objects together."""
    hits = np.full((len(thresholds), len(found)), -1, np.int64)
    tie = pairs.truth if rule.ties == "first" else -pairs.truth
    rows, number = np.unique(pairs.found, return_inverse=True)
    cells = found.cells[rows]
    turns = np.arange(len(rows)) - np.searchsorted(cells, cells)
    order = np.lexsort((tie, -pairs.overlap, ignored[pairs.truth], pairs.found, turns[number]))
    detection, truth, overlap = pairs.found[order], pairs.truth[order], pairs.overlap[order]
    near = _near(overlap, thresholds[:, truth], rule)
    taken = np.zeros(thresholds.shape, np.bool_)
    inexhaustible = truths.passed_over
    ends = np.searchsorted(turns[number][order], np.arange(turns.max(initial=-1) + 1), side="right").tolist()
    for begin, end in itertools.pairwise([0, *ends]):
        objects = truth[begin:end]
        available = near[:, begin:end] & ~taken[:, objects]
        starts = np.flatnonzero(np.diff(detection[begin:end], prepend=-1))
        choice = np.minimum.reduceat(np.where(available, np.arange(begin, end), end), starts, axis=1)
        which, column = np.nonzero(choice < end)
        chosen = choice[which, column]
        hits[which, detection[chosen]] = truth[chosen]
        taken[which, truth[chosen]] = ~inexhaustible[truth[chosen]]
    return hits
