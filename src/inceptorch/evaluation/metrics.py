"""What a classifier got right, from its answers alone, with how sure one can be of it.

Fractions are from 0 to 1, losses in nats, intervals those of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Interval = tuple[float, float]

Z = 1.959964  # of the normal distribution, 2.5 % lie beyond it


@dataclass(frozen=True)
class Answers:
    """What is kept of the answers to N images, however many classes there are.

    labels       the right classes, int32 [N]
    given        the most probable classes, int32 [N]
    confidences  their probabilities, float64 [N]
    ranks        how many classes are put before the right one, int32 [N]; 0 where the answer is right
    losses       the negative logarithms of the right classes' probabilities, float64 [N]
    """

    labels: Ints
    given: Ints
    confidences: Floats
    ranks: Ints
    losses: Floats

    @classmethod
    def of(cls, logits: Floats, labels: Ints) -> Answers:
        """The answers that logits [N, classes] (or log probabilities) amount to. Of equal ones the lower index is the
        answer, as in `predict`."""
        log_probabilities = log_softmax(logits)
        given = logits.argmax(1)
        at = np.arange(len(labels))
        return cls(
            labels=np.asarray(labels, np.int32),
            given=given.astype(np.int32),
            confidences=np.exp(log_probabilities[at, given]),
            ranks=rank_of_label(logits, labels).astype(np.int32),
            losses=-log_probabilities[at, labels],
        )

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """The answers of several sets of images as those of one."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the answer is right, [N]."""
        right: NDArray[np.bool_] = self.given == self.labels
        return right


class ClassScore(TypedDict):
    """Of one class: images, the share of them that is found (its recall) with its interval, and that found among five
    answers; the share of the answers with its name that are right, with its interval; None where it was never answered."""

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


def scores(answers: Answers, classes: Sequence[str]) -> Scores:
    """What the answers are worth, altogether and for every class that has images."""
    top1, top5 = answers.ranks < 1, answers.ranks < 5
    answered = np.bincount(answers.given, minlength=len(classes))
    found = np.bincount(answers.labels[top1], minlength=len(classes))
    return Scores(
        n=len(answers),
        top1=float(top1.mean()),
        top5=float(top5.mean()),
        loss=float(answers.losses.mean()),
        intervals=Intervals(
            top1=share_interval(int(top1.sum()), len(answers)),
            top5=share_interval(int(top5.sum()), len(answers)),
            loss=mean_interval(answers.losses),
        ),
        per_class={
            name: ClassScore(
                n=int(mine.sum()),
                top1=float(top1[mine].mean()),
                top1_interval=share_interval(int(top1[mine].sum()), int(mine.sum())),
                top5=float(top5[mine].mean()),
                precision=float(found[index] / answered[index]) if answered[index] else None,
                precision_interval=share_interval(int(found[index]), int(answered[index])) if answered[index] else None,
            )
            for index, name in enumerate(classes)
            if (mine := answers.labels == index).any()
        },
    )


def share_interval(hits: int, n: int) -> Interval:
    """Wilson's interval of a share: `hits` of `n` (Journal of the American Statistical Association 22, 1927)."""
    if n == 0:
        return 0.0, 1.0
    share, weight = hits / n, Z * Z / n
    center = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return max(0.0, center - half), min(1.0, center + half)


def gain_interval(gained: Ints) -> Interval:
    """The interval of the mean of 1 (right now), -1 (right before) and 0 (as before), image by image, with half a
    image added to either side and as many to the rest (Agresti and Min, Statistics in Medicine 24, 2005)."""
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
    """How many classes are put before the right one, [N]; 0 where the first answer is right."""
    right = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1])[None, :] < labels[:, None]
    ranks: Ints = ((logits > right) | ((logits == right) & earlier)).sum(1)
    return ranks


def log_softmax(logits: Floats) -> Floats:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return out
