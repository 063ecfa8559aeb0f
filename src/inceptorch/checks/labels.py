"""Labels that a classifier doubts.

Confident learning (Northcutt, Jiang and Chuang, arXiv:1911.00068) in its simplest form. The threshold of a class is the
model's mean probability for it on the images with that label. A label is doubtful if its probability is below the
threshold, and another class's is higher and at or above that class's threshold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.findings import Finding
from inceptorch.checks.scan import DatasetScan
from inceptorch.classifier import Classifier
from inceptorch.data import Split, fingerprint, train_val_split
from inceptorch.inference.predictor import Predictor
from inceptorch.utils.progress import Progress


def label_findings(
    scan: DatasetScan, relabeled: Mapping[str, Split], classifier: Classifier, progress: Progress
) -> tuple[list[Finding], list[str]]:
    """The doubtful labels of every split, and caveats about the model. `relabeled` are the scan's splits with the
    classifier's labels."""
    found, caveats = [], []
    for name, split in relabeled.items():
        indices = scan.indices(name)
        readable = np.flatnonzero(scan.readable[indices])
        if not len(readable):
            continue
        images = split.select(readable)
        stream = Predictor.of(classifier).stream(range(len(images)), images.image)
        predictions = progress.track(stream, len(images), f"evaluating {name or 'images'}")
        probabilities = np.stack([prediction.probabilities for prediction in predictions])
        for position, other in doubtful(probabilities, images.labels):
            own, index = int(images.labels[position]), int(indices[readable[position]])
            note = (
                f"is labeled {classifier.classes[own]!r} (probability {probabilities[position, own]:.0%}), "
                f"perhaps it is {classifier.classes[other]!r} ({probabilities[position, other]:.0%})"
            )
            found.append(Finding("doubtful-label", (scan.file(index),), note, (index,)))
        # The model may have been trained on the images that it evaluates.
        seen = "on its own training images it may have memorized wrong labels"
        drawn = classifier.config.metadata.split
        if drawn and drawn["fingerprint"] == fingerprint(split):
            train, val = train_val_split(split, drawn["fraction"], drawn["seed"], drawn.get("group_by", ""))
            caveats.append(
                f"The model was trained on {len(train)} of these images and evaluated on the other {len(val)}; {seen}, "
                "so more labels may be wrong than are listed."
            )
        elif name == "train":
            caveats.append(f"If the model was trained on {name}, trust its doubts about other splits only; {seen}.")
    return found, caveats


def doubtful(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> list[tuple[int, int]]:
    """The images with doubtful labels, given labels [N] and probabilities [N, classes], each with the class that it may
    belong to instead; the most doubtful first."""
    images = np.arange(len(labels))
    own = probabilities[images, labels]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    others = np.where(probabilities >= thresholds, probabilities, -1.0)
    others[images, labels] = -1.0
    best = others.argmax(1)
    margins = others[images, best] - own
    chosen = np.flatnonzero((own < thresholds[labels]) & (margins > 0))
    return [(int(index), int(best[index])) for index in chosen[np.argsort(-margins[chosen], kind="stable")]]
