"""FID of infinitely many images of A (Chong and Forsyth, arXiv:1911.07023): the line through the distances of subsets
over 1 / n, at 0. B stays whole, so its own part of the bias stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inceptorch.errors import DataError
from inceptorch.features.frechet import SEED, Distance, Side

POINTS = 15
SMALLEST = 10  # the smallest subset is this part of A's images
Z = 1.96  # of a 95 % interval


def frechet_infinity(a: Side, b: Side, interval: tuple[float, float]) -> Distance:
    """The distance at 1 / n = 0, of subsets of a tenth of A's images up to all of them. Its interval adds the error of
    the line to that of the distance itself. Raises DataError where A's features are missing, or too few."""
    features, other = a.features, b.statistics
    if features is None or len(features) < 2 * SMALLEST:
        raise DataError(
            "Cannot compute FID for infinitely many images of A: there are too few. Try at least 20 images."
        )
    n = len(features)
    sizes = np.unique(np.linspace(max(2, n // SMALLEST), n, POINTS).astype(int))
    random, factor = np.random.default_rng(SEED), b.factor()
    distances = []
    for size in sizes:
        chosen = np.sort(random.choice(n, size, replace=False))
        distances.append(_distance(features.take(chosen).astype(np.float64), factor, other.mu, np.trace(other.sigma)))
    inverse, values = 1 / sizes, np.array(distances)
    design = np.stack([np.ones(len(sizes)), inverse], 1)
    (value, slope), *_ = np.linalg.lstsq(design, values, rcond=None)
    residual = values - design @ [value, slope]
    variance = residual @ residual / max(1, len(sizes) - 2) * np.linalg.inv(design.T @ design)[0, 0]
    half = float(np.hypot(Z * np.sqrt(variance), (interval[1] - interval[0]) / 2))
    return Distance(float(value), (float(value) - half, float(value) + half))


def _distance(
    images: NDArray[np.float64], factor: NDArray[np.float64], mu: NDArray[np.floating], trace: float
) -> float:
    """The Fréchet distance of features to a distribution, whose covariance has this factor and trace."""
    mean = images.mean(0)
    centered = (images - mean) / np.sqrt(len(images) - 1)
    product = centered @ factor
    # Both products have the same eigenvalues but for zeros.
    square = product @ product.T if len(product) <= product.shape[1] else product.T @ product
    root = np.sqrt(np.linalg.eigvalsh(square).clip(0)).sum()
    difference = mean - mu
    return float(difference @ difference + (centered**2).sum() + trace - 2 * root)
