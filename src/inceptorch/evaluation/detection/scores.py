"""Average precision of detections, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from inceptorch.evaluation.detection.curves import Curves, interval, mean, spread
from inceptorch.evaluation.detection.matching import (
    Pool,
    check_boxes,
    match,
    object_thresholds,
    outside,
    pairs_of,
)
from inceptorch.evaluation.detection.operating_point import Outcomes, best_of, operating_point, outcomes_of
from inceptorch.evaluation.detection.rules import ANY_SIZE, SIZES, Rule, get_rule
from inceptorch.images.boxes import Boxes
from inceptorch.tasks.metrics import Interval
from inceptorch.utils.arrays import Floats

RECALLS = np.linspace(0, 1, 101)  # at which a curve is drawn, as COCO's are read


class ClassScore(TypedDict):
    """One class: its objects, AP at the first threshold and over all (None by a rule with one), and recall and
    precision at the score threshold. None where there are no objects, or nothing was found."""

    n: int
    ap50: float | None
    ap: float | None
    recall: float | None
    precision: float | None


class SizeScore(TypedDict):
    """Objects of one size: their number, and the mean AP over the classes that have such objects."""

    n: int
    map50: float | None
    map: float | None


class Intervals(TypedDict):
    map50: Interval | None
    map: Interval | None


@dataclass(frozen=True)
class DetectionScores:
    """Mean average precision of detections, 0 to 1.

    n          images
    objects    that count: neither difficult nor a crowd
    map50      mean AP over the classes that have objects, at the rule's first threshold, 0.5; by ILSVRC's rule, its own
    map        mean over all thresholds; None for a rule that has one
    coco       the twelve figures of COCO's evaluation, only by its rule
    intervals  95 % intervals of map50 and map; None for fewer than two images
    threshold  score of the operating point, at which precision and recall are given: IoU 0.5, all classes together;
               None where no detection is right

    None where no class has an object; without any detection all AP are 0.
    """

    n: int
    objects: int
    rule: Rule
    map50: float | None
    map: float | None
    coco: dict[str, float | None] | None
    intervals: Intervals
    per_class: dict[str, ClassScore]
    per_size: dict[str, SizeScore]
    threshold: float | None
    precision: float | None
    recall: float | None

    @property
    def protocol(self) -> str:
        """The rule as one sentence."""
        return self.rule.describe()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"n", "objects", "map50", "protocol", "intervals", "threshold", "precision", "recall",
        "per_class", "per_size"}, and "map" and "coco" by COCO's rule. Fractions are 0..1 or null."""
        names = ("n", "objects", "map50", "protocol", "threshold", "precision", "recall", "per_size")
        several = len(self.rule.thresholds) > 1
        left_out = () if several else ("map", "ap")

        def without(scores: Any) -> dict[str, Any]:
            return {key: value for key, value in scores.items() if key not in left_out}

        return {
            **{name: getattr(self, name) for name in names},
            **({"map": self.map, "coco": self.coco} if several else {}),
            "intervals": without(self.intervals),
            "per_class": {name: without(each) for name, each in self.per_class.items()},
            "per_size": {name: without(each) for name, each in self.per_size.items()},
        }


def evaluate_boxes(
    truths: Sequence[Boxes],
    found: Sequence[Boxes],
    classes: Sequence[str],
    rule: Rule | str = "voc",
    bootstrap: int = 1000,
    seed: int = 0,
    threshold: float | None = None,
) -> DetectionScores:
    """Scores of the detections `found` in images whose objects are `truths`, image by image.

    rule       voc, voc07, coco, ilsvrc, or one of one's own
    bootstrap  resamples for the intervals; 0: no intervals
    threshold  score at which precision and recall are given; by default that of the greatest F1 on these same images,
               which flatters them

    An image without objects counts through its false detections. A class without objects has no AP and leaves the
    mean; one that has objects but no detection has AP 0. Difficult objects and crowds neither count nor hurt, by
    every rule. Sizes are areas of boxes; COCO's own files give areas of masks.

    The intervals are of a bootstrap over images: every resample draws as many images with replacement, and each image
    keeps its matches. They are normal ones with the bias taken off, as `interval` says, and contained the truth in 90
    to 95 of 100 simulations with 20 or 72 images. They are too narrow where nearly all detections are right.

    Raises ProtocolError for unequal numbers of images, an unknown rule or class, DataError and NonFiniteOutputError for
    values that are nan or infinite.
    """
    rule = get_rule(rule)
    check_boxes(truths, found, len(classes))
    sizes = _curves(Pool.of(truths, len(classes)), Pool.of(found, len(classes), rule.max_boxes), rule)
    ap = {name: curves.average_precisions(len(classes)) for name, curves in sizes.items()}
    several = len(rule.thresholds) > 1
    outcomes = outcomes_of(truths, found, len(classes))
    threshold = best_of(outcomes) if threshold is None else threshold
    point = None if threshold is None else operating_point(outcomes, threshold)
    return DetectionScores(
        n=len(truths),
        objects=int(sizes["all"].counted.sum()),
        rule=rule,
        map50=mean(ap["all"][0]),
        map=mean(ap["all"]) if several else None,
        coco=_coco_figures(sizes, ap, len(classes)) if rule.name == "coco" else None,
        intervals=_intervals(sizes["all"], ap["all"], len(truths), bootstrap, seed),
        per_class=_per_class(classes, sizes["all"], ap["all"], outcomes, threshold),
        per_size={
            name: SizeScore(
                n=int(sizes[name].counted.sum()), map50=mean(ap[name][0]), map=mean(ap[name]) if several else None
            )
            for name in SIZES
        },
        threshold=threshold,
        precision=None if point is None else point["precision"],
        recall=None if point is None else point["recall"],
    )


def _per_class(
    classes: Sequence[str], curves: Curves, ap: Floats, outcomes: Outcomes, threshold: float | None
) -> dict[str, ClassScore]:
    """The scores of each class, whose AP at each threshold are `ap` [T, classes]."""
    scores = {}
    for label, (name, number) in enumerate(zip(classes, curves.positives(len(classes)), strict=True)):
        point = None if threshold is None else operating_point(outcomes, threshold, label)
        scores[name] = ClassScore(
            n=int(number),
            ap50=mean(ap[:1, label]),
            ap=mean(ap[:, label]) if len(ap) > 1 else None,
            recall=None if point is None else point["recall"],
            precision=None if point is None else point["precision"],
        )
    return scores


def map50_gain(
    truths: Sequence[Boxes],
    found: Sequence[Boxes],
    before: Sequence[Boxes],
    classes: Sequence[str],
    rule: Rule | str = "voc",
    bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much higher the mean AP of `found` is than that of `before`, at the rule's first threshold, and the 95 %
    interval of this difference: every resample draws the same images for both, so it is narrower than two intervals
    suggest. 0 to 1; nan where no class has an object. Raises as `evaluate_boxes` does."""
    rule = get_rule(rule)
    objects, values, resampled = Pool.of(truths, len(classes)), [], []
    for each in (found, before):
        check_boxes(truths, each, len(classes))
        curves = _curves(objects, Pool.of(each, len(classes), rule.max_boxes), rule)["all"]
        values.append(mean(curves.average_precisions(len(classes))[0]))
        resampled.append(curves.resampled(len(truths), len(classes), bootstrap, seed)[0])
    if None in values:
        return math.nan, math.nan, math.nan
    gain = float(values[0]) - float(values[1])  # type: ignore[arg-type]
    low, high = spread(gain, resampled[0] - resampled[1], len(truths))
    return gain, min(low, gain), max(high, gain)


def precision_recall(
    truths: Sequence[Boxes], found: Sequence[Boxes], classes: Sequence[str], rule: Rule | str = "voc"
) -> dict[str, Floats | None]:
    """The precision of each class at RECALLS, at the rule's first threshold of IoU; None for a class without objects.
    Precision at a recall is the greatest at that recall or a higher one. Raises as `evaluate_boxes` does."""
    rule = get_rule(rule)
    check_boxes(truths, found, len(classes))
    curves = _curves(Pool.of(truths, len(classes)), Pool.of(found, len(classes), rule.max_boxes), rule)["all"]
    return {name: curves.precisions(label, RECALLS) for label, name in enumerate(classes)}


def _curves(objects: Pool, found: Pool, rule: Rule) -> dict[str, Curves]:
    """Of all objects, and of those of each size."""
    thresholds = object_thresholds(objects, rule)
    pairs = pairs_of(objects, found, thresholds[0], inclusive=rule.inclusive)
    return {
        name: Curves.of(
            objects,
            found,
            match(objects, found, pairs, thresholds, rule, size),
            ~(objects.passed_over | outside(objects.boxes, size)),
            rule,
        )
        for name, size in {"all": ANY_SIZE, **SIZES}.items()
    }


def _coco_figures(sizes: dict[str, Curves], ap: dict[str, Floats], classes: int) -> dict[str, float | None]:
    """The twelve figures of pycocotools, in its order."""
    recalls = {f"ar_{boxes}": sizes["all"].recalls(classes, boxes) for boxes in (1, 10, 100)}
    return {
        "ap": mean(ap["all"]),
        "ap50": mean(ap["all"][0]),
        "ap75": mean(ap["all"][5]),
        **{f"ap_{name}": mean(ap[name]) for name in SIZES},
        **{name: mean(recall) for name, recall in recalls.items()},
        **{f"ar_{name}": mean(sizes[name].recalls(classes, 100)) for name in SIZES},
    }


def _intervals(curves: Curves, ap: Floats, images: int, resamples: int, seed: int) -> Intervals:
    if images < 2 or resamples < 2:
        return Intervals(map50=None, map=None)
    first, every = curves.resampled(images, ap.shape[1], resamples, seed)
    several = len(ap) > 1
    return Intervals(
        map50=interval(mean(ap[0]), first, images), map=interval(mean(ap), every, images) if several else None
    )
