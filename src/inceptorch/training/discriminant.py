"""Rows of a linear classifier for new classes, from the statistics of features alone: the other rows stay as they are.

A linear discriminant gives the direction of a row. What it lacks to stand beside rows of logistic regression is found
on logits drawn from the classes' normal distributions: they are normal, too, and have few dimensions. A class of few
images has a noisy mean, which is moved toward that of all classes as far as its noise is expected to have carried it
away (James and Stein 1961).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from inceptorch.classifier.statistics import Doubles, FeatureStatistics

MAX_DRAWS = 200  # of each class
MAX_NUMBERS = 20_000_000  # in all draws together, as there may be a thousand classes
MAX_SPREAD = 8.0


def extend_rows(
    weight: Doubles, bias: Doubles, before: FeatureStatistics, after: FeatureStatistics, label_smoothing: float
) -> tuple[Doubles, Doubles]:
    """The rows [classes, D] and biases [classes] of all classes of `after`, of which those of `before` come first.

    Rows of classes without new images are those given. An updated one moves as the discriminant's row does.
    """
    old, classes = len(before.counts), len(after.counts)
    changed = np.flatnonzero(after.counts > np.append(before.counts, np.zeros(classes - old, np.int64)))
    covariance = after.shrunk(after.covariance)
    means, noise = _expected_means(after, before)
    rows, biases = _discriminant(means, covariance)
    rows_before, biases_before = _discriminant(_expected_means(before, before)[0], covariance)

    # The discriminant's logits of the old classes, times `scale`, are most like the classifier's.
    ours, theirs = (
        _centered(before.means @ one.T + other) for one, other in ((rows_before, biases_before), (weight, bias))
    )
    scale = float((ours * theirs).sum() / max((ours**2).sum(), np.finfo(float).tiny))

    whole, whole_bias = (
        np.concatenate([given, np.repeat(given.mean(0, keepdims=True), classes - old, 0)]) for given in (weight, bias)
    )
    start, start_bias = (
        np.concatenate([given, np.repeat(given.mean(0, keepdims=True), classes - old, 0)])
        for given in (rows_before, biases_before)
    )
    whole[changed] += scale * (rows - start)[changed]
    whole_bias[changed] += scale * (biases - start_bias)[changed]
    draws = draw_logits(whole, whole_bias, means, covariance, np.sqrt(1 + noise))
    whole_bias[changed] += _offsets(draws, changed, label_smoothing)
    return whole, whole_bias


def estimate_accuracy(weight: Doubles, bias: Doubles, before: FeatureStatistics, known: float) -> float:
    """Accuracy of rows [classes, D] on the classes of `before`, the first of them, of which it is `known` without the
    others.

    Normal distributions of training images are too narrow to err as other images do. So they are widened until they
    err as often as it is known.
    """
    old = len(before.counts)
    covariance = before.shrunk(before.covariance)
    centers = (before.means @ weight.T + bias)[:, None]
    deviations = draw_logits(weight, bias, before.means, covariance, np.ones(old)) - centers
    labels = np.arange(old)[:, None]

    def accuracy(spread: float, classes: int) -> float:
        logits = centers[..., :classes] + spread * deviations[..., :classes]
        return float((logits.argmax(2) == labels).mean())

    low, high = 1.0, MAX_SPREAD
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (middle, high) if accuracy(middle, old) > known else (low, middle)
    return known + accuracy(low, len(weight)) - accuracy(low, old)


def draw_logits(weight: Doubles, bias: Doubles, means: Doubles, covariance: Doubles, spread: Doubles) -> Doubles:
    """Logits [classes, draws, rows] of features around the means [classes, D], whose deviations are multiplied by
    `spread` [classes]."""
    count = int(np.clip(MAX_NUMBERS // (len(means) * len(weight)), 2, MAX_DRAWS))
    values, vectors = np.linalg.eigh(weight @ covariance @ weight.T)
    factor = vectors * np.sqrt(values.clip(0))
    normal = np.random.default_rng(0).standard_normal((len(means), count, len(weight)))
    deviations = spread[:, None, None] * (normal @ factor.T)
    draws: Doubles = (means @ weight.T + bias)[:, None] + deviations
    return draws


def _expected_means(statistics: FeatureStatistics, prior: FeatureStatistics) -> tuple[Doubles, Doubles]:
    """The means of the classes [classes, D] as far as their images tell them from the mean of the classes of `prior`,
    and the variance of what is left open, [classes], in units of that within classes."""
    center = prior.means.mean(0)
    within = np.trace(prior.covariance)
    apart = ((prior.means - center) ** 2).sum() / (len(prior.means) - 1)
    between = max(apart - (within / np.maximum(prior.counts, 1)).mean(), apart / 10, np.finfo(float).tiny)
    counts = np.maximum(statistics.counts, 1)
    told = between / (between + within / counts)
    return center + told[:, None] * (statistics.means - center), told / counts


def _discriminant(means: Doubles, covariance: Doubles) -> tuple[Doubles, Doubles]:
    rows = np.asarray(np.linalg.solve(covariance, means.T).T, np.float64)
    return rows, -(rows * means).sum(1) / 2


def _centered(logits: Doubles) -> Doubles:
    centered: Doubles = logits - logits.mean(1, keepdims=True)
    return centered


def _offsets(draws: Doubles, changed: NDArray[np.int64], label_smoothing: float) -> Doubles:
    """What to add to the biases of `changed` rows for the lowest loss on draws [classes, draws, rows]."""
    logits = torch.from_numpy(draws.reshape(-1, draws.shape[2]))
    labels = torch.arange(len(draws)).repeat_interleave(draws.shape[1])
    offsets = torch.zeros(len(changed), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([offsets], max_iter=60, line_search_fn="strong_wolfe")
    columns = torch.from_numpy(changed)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(
            logits.index_add(1, columns, offsets.expand(len(logits), -1)), labels, label_smoothing=label_smoothing
        )
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found: Doubles = offsets.detach().numpy()
    return found
