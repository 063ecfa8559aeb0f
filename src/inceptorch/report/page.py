"""report.html: one self-contained page on a run or an evaluation. No script, nothing fetched from anywhere."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.evaluation import Evaluation, Mistake
from inceptorch.explanation import default_row, gradcam, overlay
from inceptorch.report import charts
from inceptorch.tasks.metrics import ClassScore
from inceptorch.utils.html import data_uri, render
from inceptorch.utils.plots import shortened

SHOWN = 24  # mistakes
SIDE = 160  # pixels of their images
LISTED = 60  # classes, up to which all are listed; of more, the best and the worst
ENDS = 15
CELLS = 25  # classes, up to which the confusion matrix is a table with numbers
LETTERS = 28  # of a class name: ImageNet's are lists of synonyms
CONFUSIONS = 15  # pairs of classes that are named


def page(
    title: str,
    evaluation: Evaluation,
    classifier: Classifier | None,
    command: str,
    facts: dict[str, str],
    rows: Sequence[dict[str, str]] = (),
) -> str:
    """The page as HTML. `classifier` shows where it looked at its mistakes, where there is one; `command` makes the same
    again; `facts` are lines of a table; `rows` are those of metrics.csv."""
    confusion, names = evaluation.confusion, evaluation.classes
    fractions = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    folder = os.path.commonprefix([evaluation.files[0], evaluation.files[-1]])  # noqa: RUF071 - cut behind a slash
    looked = classifier is not None and evaluation.split is not None
    return render(
        "report/templates/report.html",
        title=title,
        evaluation=evaluation,
        command=command,
        curves=_curves(rows) if rows else [],
        ranked=worst_first(evaluation),
        listed=LISTED,
        ends=ENDS,
        confusion=confusion,
        fractions=fractions,
        map=_map(fractions) if len(names) > CELLS else None,
        confused=_confused(confusion, names),
        mistakes=_mistakes(evaluation, classifier),
        layer=default_row(classifier.model.net, classifier.preprocessing.size) if looked and classifier else None,
        folder=folder[: folder.rfind("/") + 1],
        calibration=charts.calibration(evaluation.reliability),
        confidence=of_confidence(evaluation),
        facts=facts | _memory(),
        shortened=shortened,
        letters=LETTERS,
    )


def read_rows(metrics: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with open(metrics, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _curves(rows: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    """Captions and charts."""
    phase = rows[-1]["phase"]  # a run that fits the classifier first and then trains the whole network shows the second
    mine = [row for row in rows if row["phase"] == phase]

    def curve(name: str, by: float = 1.0) -> list[tuple[float, float]]:
        return [(float(row["epoch"]), by * float(row[name])) for row in mine]

    below = "step of the fit" if phase == "head" else "epoch"
    training, validation, top1 = curve("train_loss"), curve("loss"), curve("top1", 100)
    # One bad epoch, as while batch normalization's statistics lag, would make all the rest a flat line.
    highest = max(loss for _, loss in training + validation)
    usual = 2 * max(training[0][1], training[-1][1], validation[-1][1])
    cut = f" (at its highest {highest:.1f})" if highest > usual else ""
    loss = charts.lines({"training objective": training, "validation": validation}, below, most=usual)
    accuracy = charts.lines({"validation": top1}, below, " %")
    return [(f"loss{cut}", loss), (f"validation accuracy: {top1[-1][1]:.2f} %", accuracy)]


def worst_first(evaluation: Evaluation) -> list[tuple[str, ClassScore]]:
    """The classes with their scores, those of the lowest recall first."""
    return sorted(evaluation.per_class.items(), key=lambda item: (item[1]["top1"], item[0]))


def _confused(confusion: Any, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """The pairs that are confused most often: label, prediction, and how many images."""
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [np.unravel_index(place, off.shape) for place in order]
    return [(names[label], names[given], int(off[label, given])) for label, given in pairs if off[label, given]]


def _map(fractions: Any) -> str:
    """The confusion matrix of many classes as an image, a point for each pair of classes."""
    points = (255 * (1 - np.sqrt(fractions))).astype(np.uint8)
    side = max(1, round(500 / len(points)))
    return data_uri(Image.fromarray(np.kron(points, np.ones((side, side), np.uint8))), "PNG")


def _mistakes(evaluation: Evaluation, classifier: Classifier | None) -> list[tuple[Mistake, Any]]:
    """The most confident mistakes, each with its images."""
    shown = evaluation.mistakes[:SHOWN]
    # Read as they lie in shards, so that of a stream no shard is fetched twice.
    images = {each.index: _images(evaluation, each, classifier) for each in sorted(shown, key=lambda each: each.index)}
    return [(each, images[each.index]) for each in shown]


def _images(evaluation: Evaluation, mistake: Mistake, classifier: Classifier | None) -> list[tuple[str, str]] | None:
    """The image of a mistake and where the network looked, as far as they are at hand; None if it cannot be read."""
    if evaluation.split is None:
        return []
    try:
        if classifier is None:
            return [("the image", _small(evaluation.split.image(mistake.index)))]
        crop = evaluation.split.crop(mistake.index, classifier.preprocessing)
    except InceptorchError:
        return None
    given = classifier.classes.index(mistake.predicted)
    looked = overlay(crop, gradcam(classifier, [crop], [given])[0])
    return [("what the network saw", _small(Image.fromarray(crop))), ("where it looked", _small(looked))]


def _small(image: Image.Image) -> str:
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE))
    return data_uri(image)


def of_confidence(evaluation: Evaluation) -> list[str]:
    """What confidence is worth: whether it means what it says, and what it costs to reject where it is small."""
    (error, (low, high)), unknown, tempered = (
        evaluation.calibration,
        evaluation.threshold,
        evaluation.temperature_scaling,
    )
    sentences = [
        f"The expected calibration error is {error:.1%}; without what chance adds to it, {low:.1%} to {high:.1%}."
    ]
    if tempered:
        sentences.append(
            f"With logits divided by {tempered['temperature']:.3f} it is {tempered['error']:.1%}, and the loss "
            f"{tempered['loss']:.3f}."
        )
    sentences.append(
        f"Rejecting predictions below {unknown['threshold']:.3f} keeps {unknown['coverage']:.1%} of the images, at an accuracy "
        f"of {unknown['selective_accuracy']:.1%} (without rejection: {unknown['accuracy']:.1%})."
    )
    return sentences


def _memory() -> dict[str, str]:
    """The most memory that this process has taken, where the system says."""
    try:
        import resource
    except ImportError:  # as on Windows
        return {}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory": f"{most / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MiB at most in this process"}
