"""What a linear discriminant needs to know of the features before a classifier: means and counts of the classes, and
one covariance within them.

They are a file of the bundle, `features.safetensors`. By them classes are added without the old images, and an image is
known to be far from those of training. The numbers are in half precision, as deviations in units of each feature's own,
and of the covariance one triangle: 2 bytes for each of classes * D + D (D + 1) / 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from inceptorch.errors import BundleError
from inceptorch.utils.arrays import Floats, Ints
from inceptorch.utils.files import atomic_write
from inceptorch.utils.tensors import HASH, check_tensors, read_arrays, sha256

STATISTICS = "features.safetensors"
BLOCK = 4096  # images whose features are in double precision at a time

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Statistics of features by class.

    means       float64 [classes, D]; 0 for a class without images
    counts      int64 [classes], images of each
    covariance  float64 [D, D] within classes: the squares' sum over all images, by their number less the classes'
    """

    means: Doubles
    counts: NDArray[np.int64]
    covariance: Doubles

    @classmethod
    def of(cls, features: Floats, labels: Ints, classes: int) -> FeatureStatistics:
        """Of features [N, D] with labels [N]."""
        dim = features.shape[1]
        return cls(np.zeros((0, dim)), np.zeros(0, np.int64), np.zeros((dim, dim))).updated(features, labels, classes)

    def updated(self, features: Floats, labels: Ints, classes: int) -> FeatureStatistics:
        """With the features of more images, of these or of more classes, as if all had been there from the first."""
        dim, added = self.dim, classes - len(self.counts)
        old = np.concatenate([self.counts, np.zeros(added, np.int64)])
        old_means = np.concatenate([self.means, np.zeros((added, dim))])
        new, sums = np.bincount(labels, minlength=classes), np.zeros((classes, dim))
        for rows, block in _blocks(features):
            np.add.at(sums, labels[rows], block)
        new_means = sums / np.maximum(new, 1)[:, None]
        scatter = self.covariance * self._freedom
        for rows, block in _blocks(features):
            centered = block - new_means[labels[rows]]
            scatter += centered.T @ centered
        apart, counts = new_means - old_means, old + new
        scatter += (apart.T * (old * new / np.maximum(counts, 1))) @ apart
        means = (old_means.T * old + new_means.T * new).T / np.maximum(counts, 1)[:, None]
        found = FeatureStatistics(means, counts, scatter)
        return FeatureStatistics(means, counts, scatter / found._freedom)

    @property
    def dim(self) -> int:
        return int(self.means.shape[1])

    @property
    def _freedom(self) -> int:
        return max(1, int(self.counts.sum() - np.count_nonzero(self.counts)))

    @cached_property
    def mean(self) -> Doubles:
        """Of all images, [D]."""
        mean: Doubles = self.counts @ self.means / max(1, self.counts.sum())
        return mean

    @cached_property
    def total_covariance(self) -> Doubles:
        """Of all images around their mean, [D, D]."""
        apart = self.means - self.mean
        between: Doubles = (apart.T * self.counts) @ apart
        total: Doubles = (self.covariance * self._freedom + between) / max(1, self.counts.sum())
        return total

    def shrunk(self, covariance: Doubles) -> Doubles:
        """A covariance [D, D] that has an inverse: with D images added whose covariance is the identity times its mean
        variance. With far more images than features it stays as it is."""
        n, dim = int(self.counts.sum()), self.dim
        variance = np.trace(covariance) / dim or 1.0
        shrunk: Doubles = (n * covariance + dim * variance * np.eye(dim)) / (n + dim)
        return shrunk

    def write(self, path: Path) -> None:
        """Write the file with its hash, whole or not at all. Raises RunError."""
        deviation = np.sqrt(np.diag(self.total_covariance))
        scale = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
        center = self.mean.astype(np.float32)
        present = self.counts[:, None] > 0
        tensors: dict[str, NDArray[Any]] = {
            "center": center,
            "scale": scale,
            "means": np.where(present, (self.means - center) / scale, 0.0).astype(np.float16),
            "counts": self.counts.astype(np.int64),
            "covariance": (self.covariance / np.outer(scale, scale))[np.triu_indices(self.dim)].astype(np.float16),
        }
        atomic_write(path, lambda temporary: save_file(tensors, temporary, {HASH: sha256(tensors, {})}))

    @classmethod
    def read(cls, path: Path, classes: int, dim: int | None = None) -> FeatureStatistics:
        """What `write` has written, of this many classes and, if known, features. Raises BundleError for anything
        else."""
        tensors = read_arrays(path)
        if dim is None:
            dim = tensors["center"].size if "center" in tensors else 0
        shapes = {
            "center": (dim,),
            "scale": (dim,),
            "means": (classes, dim),
            "counts": (classes,),
            "covariance": (dim * (dim + 1) // 2,),
        }
        check_tensors(tensors, shapes, ["counts"], path)
        center, scale, means, triangle = (
            tensors[name].astype(np.float64) for name in ("center", "scale", "means", "covariance")
        )
        counts = tensors["counts"].astype(np.int64)
        finite = all(np.isfinite(each).all() for each in (center, scale, means, triangle))
        if not finite or (scale <= 0).any() or (counts < 0).any() or not counts.any():
            raise BundleError(f"Cannot use {path}: its numbers are impossible. Copy it again, or make it again.")
        covariance = np.zeros((dim, dim))
        rows, columns = np.triu_indices(dim)
        covariance[rows, columns] = covariance[columns, rows] = triangle
        found = means * scale + center
        found[counts == 0] = 0.0
        return cls(found, counts, covariance * np.outer(scale, scale))


def _blocks(features: Floats) -> Iterator[tuple[slice, Doubles]]:
    """Rows of features, and these in double precision."""
    for start in range(0, len(features), BLOCK):
        rows = slice(start, start + BLOCK)
        yield rows, features[rows].astype(np.float64)
