"""Kernel Inception Distance (Bińkowski et al., arXiv:1801.01401): unbiased in the number of images.

As torch-fidelity computes it: the mean over 100 pairs of subsets of 1000 images each, with its seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inceptorch.errors import DataError
from inceptorch.features.frechet import SEED, Estimate, around, resampled_sums
from inceptorch.features.store import Features

SUBSETS, SUBSET_SIZE, SUBSET_SEED = 100, 1000, 2020
DEGREE = 3


def kernel_distance(a: Features, b: Features, *, smaller: bool = False) -> Estimate:
    """KID; with `smaller`, of subsets as large as the smaller side where that has fewer than 1000 images.

    The interval is a bootstrap of the images of each side, of the linear part that the subsets show. Raises DataError
    for too few images.
    """
    size = min(len(a), len(b), SUBSET_SIZE) if smaller else SUBSET_SIZE
    if min(len(a), len(b)) < size or size < 2:
        raise DataError(
            f"Cannot compute KID of {len(a)} and {len(b)} images: it draws subsets of {SUBSET_SIZE}. Try more images, "
            "or --convention clean-fid, which draws smaller ones."
        )
    random = np.random.RandomState(SUBSET_SEED)
    distances = np.zeros(SUBSETS)
    parts = [np.zeros((2, len(side))) for side in (a, b)]  # of each image: the sum of its part, and how often drawn
    for number in range(SUBSETS):
        chosen = [random.choice(len(side), size, replace=False) for side in (a, b)]
        one, two = a.take(chosen[0]), b.take(chosen[1])
        within, between, other = _kernel(one, one), _kernel(one, two), _kernel(two, two)
        distances[number] = _mmd2(within, between, other)
        for part, indices, own, cross in (
            (parts[0], chosen[0], within, between.mean(1)),
            (parts[1], chosen[1], other, between.mean(0)),
        ):
            part[0, indices] += 2 * ((own.sum(1) - np.diagonal(own)) / (size - 1) - cross)
            part[1, indices] += 1
    value, rng, changes = float(distances.mean()), np.random.default_rng(SEED), 0.0
    for sums, counts in parts:
        changes = changes + resampled_sums(sums[counts > 0] / counts[counts > 0], rng) / (counts > 0).sum()
    return Estimate(value, float(distances.std()), around(value, np.asarray(changes)))


def _kernel(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float32]:
    kernel: NDArray[np.float32] = (np.matmul(one, two.T) * (1.0 / one.shape[1]) + 1.0) ** DEGREE
    return kernel


def _mmd2(within: NDArray[np.float32], between: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The unbiased estimate from kernels [m, m], summed in the order of torch-fidelity."""
    m = len(within)
    off_diagonal = sum((each.sum(axis=1) - np.diagonal(each)).sum() for each in (within, other))
    return float(off_diagonal / (m * (m - 1)) - 2 * between.sum(axis=0).sum() / (m * m))
