"""Calibration of probabilities, and rejection of uncertain predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypedDict

import numpy as np

from inceptorch.classifier.config import Threshold
from inceptorch.tasks.metrics import Interval, PredictionSummary
from inceptorch.utils.arrays import Floats, Ints, log_softmax

BINS = 15  # of the expected calibration error, as in arXiv:1706.04599
RESAMPLES = 1000
STEPS = 50
COVERAGE = 0.95  # fraction of the images above the default threshold


class Reliability(TypedDict):
    """One bin of confidence: its images, their mean confidence, and the fraction right."""

    n: int
    confidence: float
    right: float


def reliability(summary: PredictionSummary) -> list[Reliability]:
    """Bins of equal width that have images in them, from the least confident on."""
    bins = _bins(summary)
    return [
        Reliability(
            n=int(mine.sum()),
            confidence=float(summary.confidences[mine].mean()),
            right=float(summary.right[mine].mean()),
        )
        for number in range(BINS)
        if (mine := bins == number).any()
    ]


def calibration_error(summary: PredictionSummary) -> float:
    """The expected calibration error of the predictions (arXiv:1706.04599), by torchmetrics."""
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    confidences = torch.from_numpy(np.clip(summary.confidences, 0.0, 1.0))
    return float(binary_calibration_error(confidences, torch.from_numpy(summary.right).long(), n_bins=BINS))


def calibration_interval(summary: PredictionSummary, seed: int = 0) -> Interval:
    """An interval of the calibration error, which contained the truth in at least 9 of 10 simulations.

    The error of few images is biased upward, and that of resamples by as much again, hence the basic bootstrap (Davison
    and Hinkley 1997, section 5.2.1); at 99 %, as 95 % fell short in simulations. The interval begins at 0 where
    calibrated probabilities have such an error by chance (Broecker and Smith 2007).
    """
    bins, n = _bins(summary), len(summary)
    confidences, right = summary.confidences, summary.right
    draw = np.random.default_rng(seed)

    def error(bins: Ints, gaps: Floats) -> float:
        return float(abs(np.bincount(bins, gaps, BINS)).sum() / n)

    found, resampled, by_chance = error(bins, confidences - right), [], []
    for _ in range(RESAMPLES):
        chosen = draw.integers(0, n, n)
        resampled.append(error(bins[chosen], (confidences - right)[chosen]))
        by_chance.append(error(bins, confidences - (draw.random(n) < confidences)))
    lowest, highest = np.quantile(resampled, [0.005, 0.995])
    low = 0.0 if found <= np.quantile(by_chance, 0.975) else max(0.0, 2 * found - float(highest))
    return low, max(low, 2 * found - float(lowest))


def fit_temperature(chunks: Callable[[], Iterable[tuple[Floats, Ints]]]) -> float | None:
    """The temperature that minimizes the loss of logits divided by it (arXiv:1706.04599).

    `chunks` returns, at every call, logits or log probabilities [n, classes] and labels [n]. Newton's method on the
    reciprocal, in which the loss is convex. None where no temperature is best, as when all predictions are right.
    """
    reciprocal = 1.0
    for _ in range(STEPS):
        slope = curvature = 0.0
        for logits, labels in chunks():
            scaled = np.exp(log_softmax(reciprocal * logits))
            values = np.where(np.isfinite(logits), logits, 0.0)  # of probability 0 at any temperature
            mean = (scaled * values).sum(1)
            slope += float((mean - logits[np.arange(len(labels)), labels]).sum())
            curvature += float(((scaled * values**2).sum(1) - mean**2).sum())
        # The loss of an overconfident network hardly curves; the step is bounded below.
        step = slope / max(curvature, 1e-12)
        following = min(max(reciprocal - step, reciprocal / 4), reciprocal * 4)
        if abs(following - reciprocal) < 1e-7 * reciprocal:
            return 1 / following if curvature > 1e-12 else None
        reciprocal = following
    return None


def threshold(summary: PredictionSummary, coverage: float = COVERAGE) -> Threshold:
    """The largest confidence that this fraction of the images reach (arXiv:1610.02136), and what rejecting the others
    costs."""
    ordered = np.sort(summary.confidences)[::-1]
    count = max(1, int(np.ceil(coverage * len(ordered))))
    return at_threshold(summary, float(ordered[min(len(ordered), count) - 1]))


def at_threshold(summary: PredictionSummary, confidence: float) -> Threshold:
    """The effect of rejecting predictions below this confidence."""
    accepted = summary.confidences >= confidence
    return Threshold(
        threshold=confidence,
        coverage=float(accepted.mean()),
        selective_accuracy=float(summary.right[accepted].mean()) if accepted.any() else 0.0,
        accuracy_with_rejection=float((summary.right & accepted).mean()),
        accuracy=float(summary.right.mean()),
    )


def _bins(summary: PredictionSummary) -> Ints:
    bins: Ints = np.clip(np.ceil(summary.confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins
