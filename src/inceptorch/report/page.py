"""report.html: one self-contained page on a run or an evaluation. No script, nothing fetched from anywhere."""

from __future__ import annotations

import csv
import math
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
from inceptorch.explanation import default_layer, gradcam, overlay
from inceptorch.report import charts
from inceptorch.tasks.metrics import ClassScore
from inceptorch.utils.html import data_uri, render

MAX_MISTAKES = 24
IMAGE_SIZE = 160  # pixels of their images
MAX_MATRIX = 25  # classes in a confusion matrix with numbers
MAX_CONFUSIONS = 15  # pairs of classes


def page(
    title: str,
    evaluation: Evaluation,
    classifier: Classifier | None,
    command: str,
    facts: dict[str, str],
    metrics: Sequence[dict[str, str]] = (),
) -> str:
    """The page as HTML. `classifier`, if any, explains its mistakes; `command` reproduces the evaluation; `facts` are
    the lines of a table; `metrics` are the rows of metrics.csv."""
    confusion, names = evaluation.confusion, evaluation.classes
    fractions = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    explained = classifier if evaluation.split is not None else None
    lowest = min(one["top1_interval"][0] for one in evaluation.per_class.values())
    return render(
        "report/templates/report.html",
        title=title,
        protocol=evaluation.protocol,
        evaluation=evaluation,
        command=command,
        curves=_curves(metrics) if metrics else [],
        ranked=worst_first(evaluation),
        floor=min(math.floor(10 * lowest), 9) / 10,
        confusion=confusion,
        fractions=fractions,
        map=_map(fractions) if len(names) > MAX_MATRIX else None,
        confused=_most_confused(confusion, names),
        mistakes=_mistakes(evaluation, classifier),
        layer=default_layer(explained.model.net, explained.preprocessing.size) if explained else None,
        folder=_folder(evaluation),
        calibration=charts.calibration(evaluation.reliability),
        confidence=confidence_sentences(evaluation),
        facts=facts | peak_memory(),
    )


def _folder(evaluation: Evaluation) -> str:
    """What the files' names begin with: the folder of the class folders, or else what the first and the last share."""
    split = evaluation.split
    if split is not None and split.within is not None:
        return split.source.label(split.within).rstrip("/") + "/"
    return shared_folder([evaluation.files[0], evaluation.files[-1]])


def shared_folder(files: Sequence[str]) -> str:
    """What the names of these files begin with, up to a slash."""
    shared = os.path.commonprefix(files)  # noqa: RUF071 - cut after a slash
    return shared[: shared.rfind("/") + 1]


def read_metrics(metrics: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with open(metrics, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _curves(rows: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    """Captions and charts."""
    phase = rows[-1]["phase"]  # after a linear probe, only the training of the whole network is shown
    mine = [row for row in rows if row["phase"] == phase]

    def curve(name: str, scale: float = 1.0) -> list[tuple[float, float]]:
        return [(float(row["epoch"]), scale * float(row[name])) for row in mine]

    label = "step of the linear probe" if phase == "head" else "epoch"
    training, validation, top1 = curve("train_loss"), curve("loss"), curve("top1", 100)
    accuracy = charts.lines({"validation": top1}, label, " %")
    loss = loss_curve({"training objective": training, "validation": validation}, label)
    return [loss, (f"validation accuracy: {top1[-1][1]:.2f} %", accuracy)]


def loss_curve(curves: dict[str, list[tuple[float, float]]], label: str) -> tuple[str, str]:
    """Caption and chart of losses by epoch."""
    # One bad epoch, while the statistics of batch normalization lag, would flatten the rest of the curve.
    highest = max(loss for curve in curves.values() for _, loss in curve)
    usual = max(next(iter(curves.values()))[0][1], *(curve[-1][1] for curve in curves.values()))
    cut = f" (at its highest {highest:.1f})" if highest > 2 * usual else ""
    return f"loss{cut}", charts.lines(curves, label, max_y=usual if cut else highest)


def worst_first(evaluation: Evaluation) -> list[tuple[str, ClassScore]]:
    """The classes with their scores, the lowest recall first."""
    return sorted(evaluation.per_class.items(), key=lambda item: (item[1]["top1"], item[0]))


def _most_confused(confusion: Any, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """The pairs that are confused most often: label, prediction, and how many images."""
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:MAX_CONFUSIONS]
    pairs = [np.unravel_index(flat, off.shape) for flat in order]
    return [
        (names[label], names[predicted], int(off[label, predicted]))
        for label, predicted in pairs
        if off[label, predicted]
    ]


def _map(fractions: Any) -> str:
    """The confusion matrix of many classes as an image, one point for each pair of classes."""
    points = (255 * (1 - np.sqrt(fractions))).astype(np.uint8)
    size = max(1, round(500 / len(points)))
    return data_uri(Image.fromarray(np.kron(points, np.ones((size, size), np.uint8))), "PNG")


def _mistakes(evaluation: Evaluation, classifier: Classifier | None) -> list[tuple[Mistake, Any]]:
    """The most confident mistakes, each with its images."""
    shown = evaluation.mistakes[:MAX_MISTAKES]
    # In the order of shards, so that no shard of a stream is fetched twice.
    images = {each.index: _images(evaluation, each, classifier) for each in sorted(shown, key=lambda each: each.index)}
    return [(each, images[each.index]) for each in shown]


def _images(evaluation: Evaluation, mistake: Mistake, classifier: Classifier | None) -> list[tuple[str, str]] | None:
    """The image of a mistake and its explanation, as far as available; None if the image cannot be read."""
    if evaluation.split is None:
        return []
    try:
        if classifier is None:
            return [("the image", _small(evaluation.split.image(mistake.index)))]
        crop = evaluation.split.crop(mistake.index, classifier.preprocessing)
    except InceptorchError:
        return None
    map = gradcam(classifier, [crop], [classifier.classes.index(mistake.predicted)])[0]
    return [("network input", _small(Image.fromarray(crop))), ("Grad-CAM", _small(overlay(crop, map)))]


def _small(image: Image.Image) -> str:
    image = image.convert("RGB")
    image.thumbnail((IMAGE_SIZE, IMAGE_SIZE))
    return data_uri(image)


def confidence_sentences(evaluation: Evaluation) -> list[str]:
    """Whether confidence is calibrated, and the accuracy gained by rejecting images with low confidence."""
    (error, (low, high)), unknown, tempered = (
        evaluation.calibration,
        evaluation.threshold,
        evaluation.temperature_scaling,
    )
    sentences = [
        f"The expected calibration error is {error:.1%}; its interval, corrected for chance, is {low:.1%} to "
        f"{high:.1%}."
    ]
    if tempered:
        sentences.append(
            f"With logits divided by {tempered['temperature']:.3f} it is {tempered['error']:.1%}, and the loss "
            f"{tempered['loss']:.3f}."
        )
    sentences.append(
        f"Rejecting predictions below {unknown['threshold']:.3f} keeps {unknown['coverage']:.1%} of the images, at an "
        f"accuracy of {unknown['selective_accuracy']:.1%} (without rejection: {unknown['accuracy']:.1%})."
    )
    return sentences


def peak_memory() -> dict[str, str]:
    """The peak memory of this process, where the system reports it."""
    try:
        import resource
    except ImportError:  # on Windows
        return {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory": f"{peak / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MiB, the peak of this process"}
