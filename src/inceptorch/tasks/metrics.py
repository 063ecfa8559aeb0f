"""Scores of a classifier from a summary of its predictions, with 95 % intervals. Fractions are 0 to 1, losses in
nats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from inceptorch.utils.arrays import Floats, Ints, log_softmax

Interval = tuple[float, float]

Z = 1.959964  # of the normal distribution, 2.5 % lie beyond it


@dataclass(frozen=True)
class PredictionSummary:
    """The predictions for N images, summarized in memory that does not grow with the number of classes.

    labels       the true classes, int32 [N]
    predicted    the most probable classes, int32 [N]
    confidences  their probabilities, float64 [N]
    ranks        how many classes come before the true one, int32 [N]; 0 where the prediction is right
    nll          negative log likelihoods of the true classes, float64 [N]
    """

    labels: Ints
    predicted: Ints
    confidences: Floats
    ranks: Ints
    nll: Floats

    @classmethod
    def of(cls, logits: Floats, labels: Ints) -> PredictionSummary:
        """The summary of logits or log probabilities [N, classes]. Of equal ones the lower index is predicted."""
        log_probabilities = log_softmax(logits)
        predicted = logits.argmax(1)
        at = np.arange(len(labels))
        return cls(
            labels=np.asarray(labels, np.int32),
            predicted=predicted.astype(np.int32),
            confidences=np.exp(log_probabilities[at, predicted]),
            ranks=rank_of_label(logits, labels).astype(np.int32),
            nll=-log_probabilities[at, labels],
        )

    @classmethod
    def joined(cls, parts: Sequence[PredictionSummary]) -> PredictionSummary:
        """The summaries of several sets of images as one."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the prediction is right, [N]."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right


class ClassScore(TypedDict):
    """One class: its images, top-1 and top-5 recall, and precision; None where the class was never predicted."""

    n: int
    top1: float
    top1_interval: Interval
    top5: float
    precision: float | None
    precision_interval: Interval | None


class Intervals(TypedDict):
    top1: Interval
    top5: Interval
    loss: Interval | None


@dataclass(frozen=True)
class Scores:
    """Fractions right and the mean cross entropy, with their intervals."""

    n: int
    top1: float
    top5: float
    loss: float
    intervals: Intervals
    per_class: dict[str, ClassScore]


def scores(summary: PredictionSummary, classes: Sequence[str]) -> Scores:
    """Scores of all images, and of every class that has images."""
    top1, top5 = summary.ranks < 1, summary.ranks < 5
    predicted = np.bincount(summary.predicted, minlength=len(classes))
    found = np.bincount(summary.labels[top1], minlength=len(classes))
    return Scores(
        n=len(summary),
        top1=float(top1.mean()),
        top5=float(top5.mean()),
        loss=float(summary.nll.mean()),
        intervals=Intervals(
            top1=wilson_interval(int(top1.sum()), len(summary)),
            top5=wilson_interval(int(top5.sum()), len(summary)),
            loss=mean_interval(summary.nll),
        ),
        per_class={
            name: ClassScore(
                n=int(mine.sum()),
                top1=float(top1[mine].mean()),
                top1_interval=wilson_interval(int(top1[mine].sum()), int(mine.sum())),
                top5=float(top5[mine].mean()),
                precision=float(found[index] / predicted[index]) if predicted[index] else None,
                precision_interval=wilson_interval(int(found[index]), int(predicted[index]))
                if predicted[index]
                else None,
            )
            for index, name in enumerate(classes)
            if (mine := summary.labels == index).any()
        },
    )


def wilson_interval(hits: int, n: int) -> Interval:
    """Wilson's interval of the fraction `hits` / `n` (Journal of the American Statistical Association 22, 1927)."""
    if n == 0:
        return 0.0, 1.0
    fraction, weight = hits / n, Z * Z / n
    center = (fraction + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * math.sqrt(fraction * (1 - fraction) / n + weight / (4 * n))
    return max(0.0, center - half), min(1.0, center + half)


def paired_difference_interval(gained: Ints) -> Interval:
    """The interval of the mean of paired differences, each 1 (right now), -1 (right before) or 0 (as before).

    Half an image is added to either side, and one to the rest (Agresti and Min, Statistics in Medicine 24, 2005)."""
    n = len(gained) + 2
    up, down = (gained > 0).sum() + 0.5, (gained < 0).sum() + 0.5
    mean = float((up - down) / n)
    half = Z * math.sqrt((up + down) / n - mean * mean) / math.sqrt(n)
    return max(-1.0, mean - half), min(1.0, mean + half)


def mean_interval(values: Floats) -> Interval | None:
    """The interval of the mean of independent values; None where there are fewer than two."""
    if len(values) < 2:
        return None
    mean, half = float(values.mean()), Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half


def rank_of_label(logits: Floats, labels: Ints) -> Ints:
    """How many classes come before the true one, [N]; 0 where the most probable class is right."""
    right = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1])[None, :] < labels[:, None]
    ranks: Ints = ((logits > right) | ((logits == right) & earlier)).sum(1)
    return ranks
