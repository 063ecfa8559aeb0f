"""Mean and covariance of features, and the .npz files in which pytorch-fid and clean-fid exchange them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.errors import DataError
from inceptorch.features.store import Features
from inceptorch.utils.arrays import Floats
from inceptorch.utils.files import atomic_write, reading, require_regular

ABOUT = ("convention", "network", "weights")  # which statistics can be compared


@dataclass(frozen=True, eq=False)
class Statistics:
    """mu [dim] and sigma float64 [dim, dim] of `n` images, None where a file does not say it; `about` says how they
    were made: "convention", "network" and "weights", as far as known."""

    mu: Floats
    sigma: NDArray[np.float64]
    n: int | None
    about: Mapping[str, str]


def statistics(features: Features, dtype: type[np.float32 | np.float64], about: Mapping[str, str]) -> Statistics:
    """The mean of features as `dtype` holds them, added one by one as numpy.mean does, and their covariance as
    numpy.cov computes it, a block at a time."""
    n, dim = len(features), features.dim
    total, total64 = np.zeros(dim, dtype), np.zeros(dim)
    for block in features.blocks():
        for row in block.astype(dtype):
            total += row
        total64 += block.sum(0, dtype=np.float64)
    mean, sigma = total64 / n, np.zeros((dim, dim))
    for block in features.blocks():
        centered = block - mean
        sigma += centered.T @ centered
    return Statistics(total / dtype(n), sigma / (n - 1), n, about)


def save_statistics(found: Statistics, path: Path) -> None:
    """Write an .npz with `mu` and `sigma`, as other packages read it, and what the statistics are of. Raises
    RunError."""
    texts: dict[str, Any] = {name: np.array(value) for name, value in found.about.items()}

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, mu=found.mu, sigma=found.sigma, n=np.array(found.n), **texts)

    atomic_write(path, write)


def load_statistics(path: Path) -> Statistics:
    """The statistics in an .npz file of any package. Raises DataError; nothing is unpickled."""
    require_regular(path, DataError)
    try:
        with reading(path, DataError), open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = {name: file[name] for name in ("mu", "sigma", "n", *ABOUT) if name in file}
    except (ValueError, TypeError, zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error, AttributeError):
        found = {}
    if not {"mu", "sigma"} <= found.keys():
        raise DataError(
            f"Cannot use {path}: it is damaged, or holds no statistics, which are the arrays mu and sigma. Try --save."
        )
    mu, sigma = found["mu"], found["sigma"]
    if mu.dtype.kind != "f" or sigma.dtype.kind != "f" or mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise DataError(f"Cannot use {path}: its mu is {list(mu.shape)} and its sigma {list(sigma.shape)}. Try --save.")
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise DataError(f"Cannot use {path}: its statistics are not finite. Try computing them again.")
    about = {name: str(value) for name, value in found.items() if name in ABOUT}
    n = int(found["n"]) if "n" in found and found["n"].shape == () and found["n"].dtype.kind in "iu" else None
    return Statistics(mu, sigma.astype(np.float64), n, about)
