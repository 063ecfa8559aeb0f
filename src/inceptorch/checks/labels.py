"""Labels that a classifier finds hard to believe.

Confident learning (Northcutt, Jiang and Chuang, arXiv:1911.00068) in its simplest form: the mean probability that a
model gives a class on the images labelled so is how sure it is of itself there. An image is doubtful where the model
is less sure than that of its own class, and at least as sure as that of another.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.findings import Finding
from inceptorch.checks.scan import Survey
from inceptorch.classifier import Classifier
from inceptorch.data import Split, fingerprint, stratified
from inceptorch.data.split import TRAIN
from inceptorch.inference.predictor import Predictor
from inceptorch.utils.progress import Progress

Probabilities = NDArray[np.floating]


def of_labels(
    survey: Survey, relabelled: Mapping[str, Split], classifier: Classifier, progress: Progress
) -> tuple[list[Finding], list[str]]:
    """The doubtful labels of every split, and what is to be kept in mind of the model. `relabelled` are the survey's
    splits with the labels of the classifier."""
    found, caveats = [], []
    for name, split in relabelled.items():
        numbers = survey.numbers(name)
        kept = np.flatnonzero(survey.readable[numbers])
        if not len(kept):
            continue
        images = split.keep(kept)
        stream = Predictor.of(classifier).stream(range(len(images)), images.image)
        predictions = progress.track(stream, len(images), f"evaluating {name or 'images'}")
        probabilities = np.stack([prediction.probabilities for prediction in predictions])
        for index, other in doubtful(probabilities, images.labels):
            own, number = int(images.labels[index]), int(numbers[kept[index]])
            note = (
                f"is labelled {classifier.classes[own]!r} ({probabilities[index, own]:.0%} probable by the model), "
                f"perhaps it is {classifier.classes[other]!r} ({probabilities[index, other]:.0%})"
            )
            found.append(Finding("doubtful-label", (survey.file(number),), note, (number,)))
        caveat = _caveat(classifier, name, split)
        if caveat:
            caveats.append(caveat)
    return found, caveats


def doubtful(probabilities: Probabilities, labels: NDArray[np.integer]) -> list[tuple[int, int]]:
    """The images whose labels [N] the probabilities [N, classes] make doubtful, each with the class that it may
    belong to instead; the most doubtful first."""
    images = np.arange(len(labels))
    own = probabilities[images, labels]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    sure = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    others = np.where(probabilities >= sure, probabilities, -1.0)
    others[images, labels] = -1.0
    best = others.argmax(1)
    margins = others[images, best] - own
    chosen = np.flatnonzero((own < sure[labels]) & (margins > 0))
    return [(int(index), int(best[index])) for index in chosen[np.argsort(-margins[chosen], kind="stable")]]


def _caveat(classifier: Classifier, name: str, split: Split) -> str:
    """What is to be kept in mind where the model may have been trained on the very images that it evaluates."""
    drawn = classifier.config.metadata.split
    by_heart = "of images that it was trained on, it may have learned wrong labels by heart"
    if drawn and drawn["fingerprint"] == fingerprint(split):
        trained, val = stratified(split, drawn["fraction"], drawn["seed"])
        return (
            f"The model was trained on {len(trained)} of these images and evaluated on the other {len(val)}; {by_heart}, "
            "so more labels may be wrong than are listed."
        )
    if name in TRAIN:
        return f"If the model was trained on {name}, evaluate it by what is said of other splits; {by_heart}."
    return ""
