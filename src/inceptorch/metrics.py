"""What a classifier got right, from its probabilities alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


class ClassScore(TypedDict):
    n: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Scores:
    """Counts as fractions 0..1; `loss` is the mean cross entropy in nats."""

    n: int
    top1: float
    top5: float
    loss: float
    per_class: dict[str, ClassScore]


def scores(logits: Floats, labels: Ints, classes: Sequence[str]) -> Scores:
    """Judge logits [N, classes] against labels [N]. Of equal logits the lower index is the answer, as in `predict`."""
    ranks = rank_of_label(logits, labels)
    top1, top5 = ranks < 1, ranks < 5
    return Scores(
        n=len(labels),
        top1=float(top1.mean()),
        top5=float(top5.mean()),
        loss=float(-log_softmax(logits)[np.arange(len(labels)), labels].mean()),
        per_class={
            name: ClassScore(n=int(mine.sum()), top1=float(top1[mine].mean()), top5=float(top5[mine].mean()))
            for index, name in enumerate(classes)
            if (mine := labels == index).any()
        },
    )


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
