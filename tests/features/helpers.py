"""Sets of features and of images for these tests."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.features.frechet import Side
from inceptorch.features.statistics import statistics
from inceptorch.features.store import Features, row_type


def features_of(array: NDArray[np.floating], files: int = 3) -> Features:
    """Features in several files, out of order, as after an interrupted run."""
    where = np.random.default_rng(len(array)).integers(0, files, len(array))
    rows = [np.zeros((where == number).sum(), row_type(array.shape[1])) for number in range(files)]
    positions = np.zeros((len(array), 2), np.int64)
    for number in range(files):
        rows[number]["features"] = array[where == number]
        positions[where == number] = np.array([[number, row] for row in range(len(rows[number]))]).reshape(-1, 2)
    return Features(rows, positions)


def correlated(n: int, dim: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    """Features whose variances differ as those of a network do, some of them correlated."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(seed % 2).normal(size=(dim, dim)) * np.exp(-np.arange(dim) / 10)
    return (np.abs(random.normal(size=(n, dim)) @ mixing.T) + shift).astype(np.float32)


def side_of(array: NDArray[np.floating], alone: bool = False) -> Side:
    """A side of these features; with `alone`, of their statistics alone."""
    features = features_of(array)
    found = statistics(features, np.float64, {})
    return Side(found) if alone else Side(found, features)


def write_images(folder: Path, count: int, seed: int, size: tuple[int, int] = (20, 24), suffix: str = "png") -> Path:
    """A folder of noisy images."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        color = random.uniform(0, 255, 3)
        pixels = (color + random.normal(0, 30, (*size, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.{suffix}")
    return folder
