import numpy as np
import pytest

from inceptorch.errors import DataError
from inceptorch.features import kernel
from inceptorch.features.kernel import kernel_distance
from tests.features.helpers import correlated, features_of


def unbiased(x: np.ndarray, y: np.ndarray) -> float:
    """The estimate from all images, by its definition."""
    x, y, dim = x.astype(float), y.astype(float), x.shape[1]
    within, other, between = ((p @ q.T / dim + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    own = (within.sum() - np.trace(within)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(own - 2 * between.mean())


def test_kid_is_torch_fidelitys_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_kid", reason="torch-fidelity is missing")
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(kernel, "SUBSET_SIZE", 100)
    x, y = correlated(140, 24, 1, shift=0.1), correlated(120, 24, 2)
    found = kernel_distance(features_of(x), features_of(y))
    values = torch.from_numpy(x), torch.from_numpy(y)
    expected = theirs.kid_features_to_metric(*values, verbose=False, kid_subset_size=100)
    assert found.value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-6)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-5)


def test_subsets_of_all_images_give_the_unbiased_estimate() -> None:
    x, y = correlated(60, 24, 1, shift=0.1), correlated(60, 24, 2)
    found = kernel_distance(features_of(x), features_of(y), smaller=True)
    assert found.value == pytest.approx(unbiased(x, y), rel=1e-4)
    assert found.std < 1e-4 * found.value


def test_the_interval_is_as_wide_as_distances_of_other_samples_scatter() -> None:
    values, widths = [], []
    for seed in range(25):
        x, y = correlated(60, 24, 2 * seed + 1, shift=0.1), correlated(70, 24, 2 * seed)
        found = kernel_distance(features_of(x), features_of(y), smaller=True)
        values.append(found.value)
        widths.append(found.interval[1] - found.interval[0])
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.4)


def test_fewer_images_than_a_subset_are_refused_but_by_clean_fid() -> None:
    few = features_of(correlated(20, 8, 1))
    with pytest.raises(DataError, match="Cannot compute KID of 20 and 20 images: it draws subsets of 1000."):
        kernel_distance(few, few)
    assert kernel_distance(few, features_of(correlated(12, 8, 2)), smaller=True).value > 0
