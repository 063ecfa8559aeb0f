"""Detections above a score: precision, recall, the score of the greatest F1, and what is wrong with each one.

All at IoU 0.5 by COCO's matching, but for any number of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from inceptorch.evaluation.detection.matching import (
    Flags,
    Floats,
    Ints,
    Matches,
    Pool,
    check_boxes,
    match,
    object_thresholds,
    pairs_of,
)
from inceptorch.evaluation.detection.rules import Rule
from inceptorch.images.boxes import Boxes, iou

RULE = Rule("threshold", "Operating point", match="free", ties="last")
NEAR = 0.1  # IoU from which on a detection is badly placed rather than false (arXiv:2008.08115)


class OperatingPoint(TypedDict):
    """Micro averages over classes: of all detections of at least this score. `precision` is None without any, and
    `recall` and `f1` are None without objects."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Outcomes:
    """All detections that are not ignored, the highest score first, and the number of objects of each class."""

    scores: Floats
    labels: Ints
    right: Flags
    objects: Ints


def outcomes_of(truths: Sequence[Boxes], found: Sequence[Boxes], classes: int) -> Outcomes:
    """Which detections are right."""
    objects, detections, matches = _matched(truths, found, classes)
    order = np.argsort(-detections.boxes.scores, kind="stable")
    order = order[~matches.ignored[0, order]]
    return Outcomes(
        scores=detections.boxes.scores[order].astype(np.float64),
        labels=detections.boxes.labels[order].astype(np.int64),
        right=matches.right[0, order],
        objects=np.bincount(objects.boxes.labels[~objects.passed_over], minlength=classes),
    )


def _matched(truths: Sequence[Boxes], found: Sequence[Boxes], classes: int) -> tuple[Pool, Pool, Matches]:
    objects, detections = Pool.of(truths, classes), Pool.of(found, classes)
    thresholds = object_thresholds(objects, RULE)
    pairs = pairs_of(objects, detections, thresholds[0])
    return objects, detections, match(objects, detections, pairs, thresholds, RULE)


def best_threshold(truths: Sequence[Boxes], found: Sequence[Boxes], classes: Sequence[str]) -> float:
    """The score from which on F1 over all classes is greatest, for validation images; of equal ones the highest.
    0.5 where no detection is right. Raises as `evaluate_boxes` does."""
    check_boxes(truths, found, len(classes))
    best = best_of(outcomes_of(truths, found, len(classes)))
    return 0.5 if best is None else best


def best_of(outcomes: Outcomes) -> float | None:
    """As `best_threshold`; None where no detection is right."""
    scores, right = outcomes.scores, outcomes.right
    if not right.any():
        return None
    # Detections of equal score are taken or left together.
    last = np.flatnonzero(np.diff(scores, append=-np.inf))
    f1 = 2 * right.cumsum()[last] / (last + 1 + outcomes.objects.sum())
    return float(scores[last[f1.argmax()]])


def at_threshold(
    truths: Sequence[Boxes], found: Sequence[Boxes], classes: Sequence[str], threshold: float
) -> OperatingPoint:
    """Precision and recall of the detections of at least this score. Raises as `evaluate_boxes` does."""
    return at_thresholds(truths, found, classes, [threshold])[0]


def at_thresholds(
    truths: Sequence[Boxes], found: Sequence[Boxes], classes: Sequence[str], thresholds: Sequence[float]
) -> list[OperatingPoint]:
    """As `at_threshold`, for several scores."""
    check_boxes(truths, found, len(classes))
    outcomes = outcomes_of(truths, found, len(classes))
    return [operating_point(outcomes, threshold) for threshold in thresholds]


def operating_point(outcomes: Outcomes, threshold: float, label: int | None = None) -> OperatingPoint:
    """Of all classes, or of one."""
    chosen = outcomes.scores >= threshold
    objects = int(outcomes.objects.sum() if label is None else outcomes.objects[label])
    if label is not None:
        chosen = chosen & (outcomes.labels == label)
    right, number = int(outcomes.right[chosen].sum()), int(chosen.sum())
    return OperatingPoint(
        threshold=threshold,
        precision=right / number if number else None,
        recall=right / objects if objects else None,
        f1=2 * right / (number + objects) if objects else None,
    )


@dataclass(frozen=True)
class Mistakes:
    """The detections of one image above a threshold, each in one list, by class and score. Pairs are (detection,
    object); all numbers are places in the image's boxes.

    right       IoU >= 0.5 with an object of its class that no better one has found
    duplicates  IoU >= 0.5 with an object of its class, which a better one has found
    confused    IoU >= 0.5 with an object of another class
    misplaced   0.1 <= IoU < 0.5 with an object of its class
    false       none of these: background
    missed      objects that no detection is right for
    """

    right: list[tuple[int, int]] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    confused: list[tuple[int, int]] = field(default_factory=list)
    misplaced: list[tuple[int, int]] = field(default_factory=list)
    false: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)


def mistakes(truths: Sequence[Boxes], found: Sequence[Boxes], threshold: float) -> list[Mistakes]:
    """What is right and wrong in each image with the detections of at least this score. Difficult objects and crowds
    are not missed, and detections of them are in no list. Raises as `evaluate_boxes` does."""
    classes = 1 + max((int(each.labels.max()) for each in (*truths, *found) if len(each)), default=0)
    check_boxes(truths, found, classes)
    chosen = [np.flatnonzero(each.scores >= threshold) for each in found]
    above = [each.select(rows) for each, rows in zip(found, chosen, strict=True)]
    objects, detections, matches = _matched(truths, above, classes)
    out = [Mistakes() for _ in truths]
    for row in np.flatnonzero(~matches.ignored[0]).tolist():
        image = int(detections.images[row])
        number, hit = int(chosen[image][detections.indices[row]]), int(matches.truth[0, row])
        if hit >= 0:
            out[image].right.append((number, int(objects.indices[hit])))
        else:
            _add_mistake(out[image], number, detections.boxes.select([row]), truths[image])
    for true, each in zip(truths, out, strict=True):
        missed = ~(true.difficult | true.crowd)
        missed[[truth for _, truth in each.right]] = False
        each.missed.extend(np.flatnonzero(missed).tolist())
    return out


def _add_mistake(lists: Mistakes, number: int, one: Boxes, true: Boxes) -> None:
    """Add a detection that is not right to the list it belongs to."""
    overlaps = np.where(true.difficult | true.crowd, 0.0, iou(one.xyxy, true.xyxy)[0])
    same, other = (np.where((true.labels == one.labels) == alike, overlaps, 0.0) for alike in (True, False))
    if same.max(initial=0) >= RULE.thresholds[0]:
        lists.duplicates.append((number, int(same.argmax())))
    elif other.max(initial=0) >= RULE.thresholds[0]:
        lists.confused.append((number, int(other.argmax())))
    elif same.max(initial=0) >= NEAR:
        lists.misplaced.append((number, int(same.argmax())))
    else:
        lists.false.append(number)
