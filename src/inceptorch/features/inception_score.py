"""Inception Score (Salimans et al., arXiv:1606.03498) as torch-fidelity computes it: on 1008 logits without bias, over
10 parts of the images in an order of its seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inceptorch.errors import DataError
from inceptorch.features.frechet import SEED, Estimate, around
from inceptorch.features.store import Features
from inceptorch.utils.arrays import log_softmax

PARTS, SHUFFLE_SEED = 10, 2020
RESAMPLES = 200


def inception_score(features: Features, weight: NDArray[np.float32]) -> Estimate:
    """The score from features and the classifier's `weight` [classes, dim].

    The interval is a bootstrap of the images, all in one part. Raises DataError for fewer images than parts.
    """
    n = len(features)
    if n < PARTS:
        raise DataError(f"Cannot compute the Inception Score of {n} images: it has {PARTS} parts. Try more images.")
    order = np.random.RandomState(SHUFFLE_SEED).permutation(n)
    random, scores = np.random.default_rng(SEED), []
    marginal, negentropy = np.zeros((RESAMPLES, len(weight))), np.zeros(RESAMPLES)
    drawn = np.stack([np.bincount(random.integers(0, n, n), minlength=n) for _ in range(RESAMPLES)]).astype(np.uint16)
    for part in range(PARTS):
        start, end = part * n // PARTS, (part + 1) * n // PARTS
        logs = log_softmax(features.take(order[start:end]) @ weight.T)
        probabilities = np.exp(logs)
        scores.append(float(np.exp((probabilities * (logs - _log(probabilities.mean(0)))).sum(1).mean())))
        counts = drawn[:, start:end] / n
        marginal += counts @ probabilities
        negentropy += counts @ (probabilities * logs).sum(1)
    resampled = np.exp(negentropy - (marginal * _log(marginal)).sum(1))
    value = float(np.mean(scores))
    return Estimate(value, float(np.std(scores)), around(value, resampled - resampled.mean()))


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm; of 0, which is multiplied by 0, any number."""
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return logs
