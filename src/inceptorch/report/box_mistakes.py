"""What a detector gets wrong: how often, and the images where it is worst, with their boxes as SVG over a thumbnail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from inceptorch.errors import InceptorchError
from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.evaluation.detection import Mistakes, mistakes
from inceptorch.images.boxes import Boxes
from inceptorch.utils.html import data_uri
from inceptorch.utils.plots import shortened

MAX_IMAGES = 24
IMAGE_SIZE = 320  # pixels of their longer side
MAX_MARKS = 100  # drawn on one image
MAX_NAMES = 3  # of classes in a line of a caption
MAX_LETTERS = 28  # of a class name


@dataclass(frozen=True)
class Kind:
    """A kind of mistake, whose `key` is its CSS class: what the page calls it, and what it is."""

    key: str
    title: str
    meaning: str


KINDS = (
    Kind("missed", "missed", "an object without a right box"),
    Kind("false", "false", "a box where there is no object"),
    Kind("confused", "confused", "a box of another class than its object"),
    Kind("misplaced", "poorly placed", "a box that shares less than half with its object, by IoU"),
    Kind("duplicate", "found again", "another box of an object with a better box"),
)
RIGHT = Kind("right", "right", "a box of the class of its object, at an IoU of 0.5 or more")


@dataclass(frozen=True)
class Mark:
    """A box to be drawn: its kind, its class for people, and what to show under the mouse."""

    kind: Kind
    name: str
    tip: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class DrawnImage:
    """An image of a split with its marks in pixels of the thumbnail `uri`, the largest first. None if it cannot be read
    any more. `left_out` is the number of marks that are not drawn."""

    file: str
    uri: str | None
    size: tuple[int, int]
    marks: list[Mark]
    left_out: int
    lines: list[tuple[Kind, int, str]]  # kind, number, classes


@dataclass(frozen=True)
class MistakeReport:
    """`counts` of each kind in all images, and the `worst` of the images that have mistakes."""

    counts: list[tuple[Kind, int]]
    images_with_mistakes: int
    worst: list[DrawnImage]


def mistake_report(evaluation: BoxEvaluation, threshold: float) -> MistakeReport:
    """The mistakes at a threshold. The worst image has the most: each missed object counts 1, and each box its score,
    so that confident mistakes come first."""
    every = mistakes(evaluation.split.boxes, evaluation.found, threshold)
    counts = [(kind, sum(len(_numbers(each, kind)) for each in every)) for kind in (*KINDS, RIGHT)]
    weights = np.array([_weight(each, found) for each, found in zip(every, evaluation.found, strict=True)])
    order = [int(index) for index in np.argsort(-weights, kind="stable") if weights[index] > 0]
    shown = order[:MAX_IMAGES]
    # In the order of the files, so that an archive is read once through.
    drawn = {index: _draw(evaluation, index, every[index]) for index in sorted(shown)}
    return MistakeReport(counts, len(order), [drawn[index] for index in shown])


def _numbers(one: Mistakes, kind: Kind) -> list[tuple[int, int | None]]:
    """Pairs of a box and an object, or of either alone and None."""
    alone = {"missed": one.missed, "false": one.false}
    if kind.key in alone:
        return [(number, None) for number in alone[kind.key]]
    pairs = {"confused": one.confused, "misplaced": one.misplaced, "duplicate": one.duplicates, "right": one.right}
    return [*pairs[kind.key]]


def _weight(one: Mistakes, found: Boxes) -> float:
    wrong = [number for kind in KINDS if kind.key != "missed" for number, _ in _numbers(one, kind)]
    return len(one.missed) + float(found.scores[wrong].sum())


def _draw(evaluation: BoxEvaluation, index: int, one: Mistakes) -> DrawnImage:
    split = evaluation.split
    width, height = (int(side) for side in split.sizes[index])
    scale = min(1.0, IMAGE_SIZE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    uri = None
    with suppress(InceptorchError):
        uri = data_uri(split.image(index).resize(size))
    marks = list(_marks(evaluation, index, one, scale))
    lines = []
    for kind in KINDS:
        names = Counter(mark.name for mark in marks if mark.kind is kind)
        if names:
            listed = [f"{count} {name}" if count > 1 else name for name, count in names.most_common(MAX_NAMES)]
            more = ["more"] if len(names) > MAX_NAMES else []
            lines.append((kind, names.total(), ", ".join(listed + more)))
    drawn = sorted(marks[:MAX_MARKS], key=lambda mark: -mark.width * mark.height)
    return DrawnImage(split.file(index), uri, size, drawn, len(marks) - len(drawn), lines)


def _marks(evaluation: BoxEvaluation, index: int, one: Mistakes, scale: float) -> Iterator[Mark]:
    classes, true, found = evaluation.split.classes, evaluation.split.boxes[index], evaluation.found[index]
    for kind in (*KINDS, RIGHT):
        boxes = true if kind.key == "missed" else found
        for number, truth in _numbers(one, kind):
            name = shortened(classes[boxes.labels[number]], MAX_LETTERS)
            if kind.key == "confused":
                name += f" for {shortened(classes[true.labels[truth]], MAX_LETTERS)}"
            score = "" if kind.key == "missed" else f", {boxes.scores[number]:.0%}"
            left, top, right, bottom = (boxes.xyxy[number] * scale).tolist()
            yield Mark(
                kind, name, f"{kind.title}: {name}{score}", left, top, max(1, right - left), max(1, bottom - top)
            )
