"""Linear CKA: how alike two layers are in what they hold apart, whatever their units are called.

Kornblith et al., arXiv:1905.00414, with the unbiased estimate of HSIC (Song et al. 2012, arXiv:2010.15327). The plain
one is high for any two layers that have more units than there are images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_IMAGES = 512  # spread evenly over the data; the matrices of images by images are held for all layers
MIN_IMAGES = 4  # from which on the estimate is defined
# length without the mean, as a fraction of that with it, below which a layer is the same for all images
CONSTANT = 1e-6


def linear_cka(a: Sequence[NDArray[np.float64]], b: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """The likeness [A, B] of each layer of `a` with each of `b`, at most 1; layers that are alike by chance have 0 on
    average. A layer is [n, features], with the same n images in all. None for fewer than 4 images.

    A layer that is the same for all images has nan.
    """
    if len(a[0]) < MIN_IMAGES:
        return None
    one = _flat(a)
    two = one if b is a else _flat(b)
    return one @ two.T


def _flat(layers: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The centered similarities of all images with one another in each layer, [layers, n * n], of length 1."""
    found = []
    for layer in layers:
        centered = layer - layer.mean(0)
        constant = np.linalg.norm(centered) <= CONSTANT * np.linalg.norm(layer)
        flat = u_centered(centered @ centered.T).ravel()
        found.append(np.full_like(flat, np.nan) if constant else flat / np.linalg.norm(flat))
    return np.stack(found)


def u_centered(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix [n, n] whose sum of products with another such, over n (n - 3), is the unbiased estimate of HSIC."""
    n = len(similarity)
    matrix = similarity.copy()
    np.fill_diagonal(matrix, 0)
    sums = matrix.sum(1)
    matrix += sums.sum() / ((n - 1) * (n - 2)) - (sums[:, None] + sums[None]) / (n - 2)
    np.fill_diagonal(matrix, 0)
    return matrix
