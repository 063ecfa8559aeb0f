"""Whether probabilities mean what they say, and when a classifier had better say nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypedDict

import numpy as np

from inceptorch.classifier.config import Threshold
from inceptorch.evaluation.metrics import Answers, Floats, Interval, Ints, log_softmax

BINS = 15  # of the expected calibration error, as in arXiv:1706.04599
RESAMPLES = 1000
STEPS = 50
KEEP = 0.95  # of the images are answered, where nobody says otherwise


class Reliability(TypedDict):
    """One bin of confidence: its images, their mean confidence, and the share of them that is right."""

    n: int
    confidence: float
    right: float


def reliability(answers: Answers) -> list[Reliability]:
    """Bins of equal width that have images in them, from the least confident on."""
    bins = _bins(answers)
    return [
        Reliability(
            n=int(mine.sum()),
            confidence=float(answers.confidences[mine].mean()),
            right=float(answers.right[mine].mean()),
        )
        for number in range(BINS)
        if (mine := bins == number).any()
    ]


def calibration_error(answers: Answers) -> float:
    """The expected calibration error of the first answers (arXiv:1706.04599), by torchmetrics."""
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    confidences = torch.from_numpy(np.clip(answers.confidences, 0.0, 1.0))
    return float(binary_calibration_error(confidences, torch.from_numpy(answers.right).long(), n_bins=BINS))


def calibration_interval(answers: Answers, seed: int = 0) -> Interval:
    """An interval of the calibration error of all such images, which contained it in 9 of 10 simulations or more.

    The error of few images comes out too large, and is as much too large again for resamples of them, so it is by the
    basic bootstrap (Davison and Hinkley 1997, section 5.2.1), at 99 % as simulation shows 95 % to fall short. It begins
    at 0 where the error is what chance alone makes of probabilities that are right (Broecker and Smith 2007).
    """
    bins, n = _bins(answers), len(answers)
    confidences, right = answers.confidences, answers.right
    draw = np.random.default_rng(seed)

    def error(places: Ints, gaps: Floats) -> float:
        return float(abs(np.bincount(places, gaps, BINS)).sum() / n)

    found, resampled, by_chance = error(bins, confidences - right), [], []
    for _ in range(RESAMPLES):
        chosen = draw.integers(0, n, n)
        resampled.append(error(bins[chosen], (confidences - right)[chosen]))
        by_chance.append(error(bins, confidences - (draw.random(n) < confidences)))
    lowest, highest = np.quantile(resampled, [0.005, 0.995])
    low = 0.0 if found <= np.quantile(by_chance, 0.975) else max(0.0, 2 * found - float(highest))
    return low, max(low, 2 * found - float(lowest))


def temperature_of(parts: Callable[[], Iterable[tuple[Floats, Ints]]]) -> float | None:
    """The temperature by which to divide logits so that validation images' loss is smallest (arXiv:1706.04599).

    `parts` gives, as often as it is called, logits or log probabilities [n, classes] and labels [n]. Newton's method on
    the reciprocal, in which the loss is convex. None where no temperature is best, as when all answers are right.
    """
    reciprocal = 1.0
    for _ in range(STEPS):
        slope = curvature = 0.0
        for logits, labels in parts():
            scaled = np.exp(log_softmax(reciprocal * logits))
            values = np.where(np.isfinite(logits), logits, 0.0)  # of probability 0 at any temperature
            mean = (scaled * values).sum(1)
            slope += float((mean - logits[np.arange(len(labels)), labels]).sum())
            curvature += float(((scaled * values**2).sum(1) - mean**2).sum())
        step = slope / max(
            curvature, 1e-12
        )  # an overconfident network's answers hardly curve; the step is bounded below
        following = min(max(reciprocal - step, reciprocal / 4), reciprocal * 4)
        if abs(following - reciprocal) < 1e-7 * reciprocal:
            return 1 / following if curvature > 1e-12 else None
        reciprocal = following
    return None


def threshold(answers: Answers, keep: float = KEEP) -> Threshold:
    """The largest confidence that `keep` of the images reach (arXiv:1610.02136), and what refusing the others
    costs."""
    ordered = np.sort(answers.confidences)[::-1]
    below = float(ordered[min(len(ordered), max(1, int(np.ceil(keep * len(ordered))))) - 1])
    return at_threshold(answers, below)


def at_threshold(answers: Answers, below: float) -> Threshold:
    """What it costs to call unknown whatever has less confidence than `below`."""
    kept = answers.confidences >= below
    return Threshold(
        below=below,
        answered=float(kept.mean()),
        right_of_answered=float(answers.right[kept].mean()) if kept.any() else 0.0,
        right=float((answers.right & kept).mean()),
        right_without=float(answers.right.mean()),
    )


def _bins(answers: Answers) -> Ints:
    bins: Ints = np.clip(np.ceil(answers.confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins
