"""Statistics of features: against numpy's, in parts, and as a file."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from inceptorch.classifier.statistics import FeatureStatistics
from inceptorch.errors import BundleError
from inceptorch.utils.arrays import Floats, Ints


def drawn(count: int = 90, dim: int = 6, classes: int = 3, seed: int = 0) -> tuple[Floats, Ints]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    mixed = random.normal(size=(count, dim)) @ random.normal(size=(dim, dim))
    return (5 + labels[:, None] + mixed).astype(np.float32), labels


def test_they_are_those_of_numpy() -> None:
    features, labels = drawn()
    found = FeatureStatistics.of(features, labels, 3)
    assert found.counts.tolist() == np.bincount(labels).tolist()
    centered = [features[labels == label] - features[labels == label].mean(0) for label in range(3)]
    np.testing.assert_allclose(found.means, [features[labels == label].mean(0) for label in range(3)], rtol=1e-5)
    np.testing.assert_allclose(found.covariance, sum(each.T @ each for each in centered) / 87, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.mean, features.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.total_covariance, np.cov(features.T, bias=True), rtol=1e-4, atol=1e-4)


def test_images_that_come_later_count_as_if_they_had_been_there() -> None:
    features, labels = drawn()
    first = (labels < 2) & (np.arange(90) < 60)
    begun = FeatureStatistics.of(features[first], labels[first], 2)
    whole, found = FeatureStatistics.of(features, labels, 3), begun.updated(features[~first], labels[~first], 3)
    np.testing.assert_array_equal(found.counts, whole.counts)
    np.testing.assert_allclose(found.means, whole.means)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-9, atol=1e-9)


def test_a_covariance_of_few_images_gets_an_inverse_and_one_of_many_stays() -> None:
    few = FeatureStatistics.of(*drawn(4, dim=20, classes=2), 2)
    assert np.linalg.matrix_rank(few.covariance) < 20
    assert np.linalg.matrix_rank(few.shrunk(few.covariance)) == 20
    many = FeatureStatistics.of(*drawn(60_000), 3)
    np.testing.assert_allclose(many.shrunk(many.covariance), many.covariance, rtol=0.01, atol=0.01)
    alone = FeatureStatistics.of(*drawn(1, classes=1), 1)
    np.testing.assert_array_equal(alone.shrunk(alone.covariance), np.eye(6) * 6 / 7)


def test_a_file_holds_them_in_half_precision_and_nothing_else_is_read(tmp_path: Path) -> None:
    features, labels = drawn(dim=40)
    features[:, 7] = 3.0  # which never varies
    statistics, path = FeatureStatistics.of(features, labels, 3), tmp_path / "features.safetensors"
    statistics.write(path)
    assert path.stat().st_size < 2 * (3 * 40 + 40 * 41 // 2) + 1000
    found = FeatureStatistics.read(path, 3, 40)
    scale = np.sqrt(np.diag(statistics.total_covariance)) + 1e-9
    assert abs((found.means - statistics.means) / scale).max() < 2e-3
    assert abs((found.covariance - statistics.covariance) / np.outer(scale, scale)).max() < 1e-3
    np.testing.assert_array_equal(found.counts, statistics.counts)

    with pytest.raises(BundleError, match=r"does not fit its network: means is \[3, 40\], not \[4, 40\]"):
        FeatureStatistics.read(path, 4, 40)
    with pytest.raises(BundleError, match="does not fit its network"):
        FeatureStatistics.read(path, 3, 41)
    tensors = load_file(path)
    save_file({**tensors, "scale": -tensors["scale"]}, path)
    with pytest.raises(BundleError, match="its numbers are impossible"):
        FeatureStatistics.read(path, 3, 40)
    statistics.write(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="is damaged"):
        FeatureStatistics.read(path, 3, 40)
