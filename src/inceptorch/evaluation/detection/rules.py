"""The rules of four contests for what counts as a detection, and how average precision is read from the curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from inceptorch.errors import ProtocolError, did_you_mean
from inceptorch.utils.validation import check_fields, require

NotNegative = Annotated[float, Meta(ge=0, description="a number from 0 on")]
Count = Annotated[int, Meta(ge=0, description="a whole number from 0 on")]


@dataclass(frozen=True)
class Rule:
    """How detections are matched with the objects of their image and class, the highest score first.

    title          of the contest, for people
    thresholds     of IoU, ascending; the first one is that of `map50`
    strict         whether IoU must exceed the threshold; else it may equal it
    tolerance      pixels that the sides of a small object may be off: the threshold of an object of w x h is at most
                   wh / ((w + tolerance) (h + tolerance)); 0: the same threshold for all
    inclusive      whether a side is right - left + 1, as in the development kits, whose boxes name their last pixel
    match          best: the object of greatest IoU, and a second detection of it is false;
                   free: the object of greatest IoU among those not yet found
    ties           which of several objects of equal IoU is found
    recall_points  number of recalls from 0 to 1 at which precision is averaged; 0: the area under the whole curve
    max_boxes      detections of an image and class that count, those of highest score; 0: all
    """

    name: str
    title: str
    thresholds: Annotated[tuple[float, ...], Meta(min_length=1, description="a list of numbers")] = (0.5,)
    strict: bool = False
    tolerance: NotNegative = 0.0
    inclusive: bool = False
    match: Literal["best", "free"] = "best"
    ties: Literal["first", "last"] = "first"
    recall_points: Count = 0
    max_boxes: Count = 0

    def __post_init__(self) -> None:
        check_fields(self, ProtocolError, f"Rule {self.name!r}: ")
        ascending = all(low < high <= 1 for low, high in pairwise((0.0, *self.thresholds)))
        require(ascending, self, "thresholds", "numbers above 0, up to 1, each above the one before", ProtocolError)

    def describe(self) -> str:
        """One sentence for results and reports."""
        first, last, count = self.thresholds[0], self.thresholds[-1], len(self.thresholds)
        steps = f" to {last:.2f} (mean of {count})" if count > 1 else ""
        threshold = f"IoU {'>' if self.strict else '>='} {first:.2f}{steps}"
        small = f" (less for objects of few pixels, by {self.tolerance:g} pixels)" if self.tolerance else ""
        points = f"at {self.recall_points} recalls" if self.recall_points else "over the whole curve"
        boxes = f"at most {self.max_boxes} boxes" if self.max_boxes else "all boxes"
        return f"{self.title}: precision {points}, {threshold}{small}, {boxes} per image and class."


RULES = {
    rule.name: rule
    for rule in (
        # Pascal VOC from 2010 on, as its development kit's VOCevaldet and VOCap, but that sides are right - left, which
        # suits boxes of any other origin.
        Rule("voc", "Pascal VOC 2010"),
        # Of 2007: its text says that IoU must exceed 0.5, and so do the evaluators in Python; its development kit lets
        # 0.5 itself pass. Recalls are as in the kit: 3 of 10 objects do not reach 3 * 0.1 in floating point.
        Rule("voc07", "Pascal VOC 2007", strict=True, inclusive=True, recall_points=11),
        # pycocotools' COCOeval, which computes its thresholds in this way, too.
        Rule(
            "coco",
            "COCO",
            thresholds=tuple(np.linspace(0.5, 0.95, 10).tolist()),
            match="free",
            ties="last",
            recall_points=101,
            max_boxes=100,
        ),
        # ILSVRC's development kit, eval_detection; its list of images without some classes is not read.
        Rule("ilsvrc", "ILSVRC detection", tolerance=10.0, inclusive=True, match="free"),
    )
}

# The areas of objects in square pixels, from and to, both included, as in pycocotools; there the largest is 1e10.
SIZES = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, math.inf),
}
ANY_SIZE = (0.0, math.inf)


def get_rule(rule: Rule | str) -> Rule:
    """A rule by its name. Raises ProtocolError for an unknown one."""
    if isinstance(rule, Rule):
        return rule
    if rule not in RULES:
        raise ProtocolError(f"Cannot evaluate boxes by {rule!r}: {did_you_mean(rule, RULES)}")
    return RULES[rule]
