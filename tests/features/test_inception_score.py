import numpy as np
import pytest

from inceptorch.errors import DataError
from inceptorch.features.inception_score import inception_score
from tests.features.helpers import correlated, features_of

WEIGHT = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)


def test_the_score_is_torch_fidelitys_with_its_seed() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_isc", reason="torch-fidelity is missing")
    torch = pytest.importorskip("torch")
    x = correlated(203, 16, 1)
    found = inception_score(features_of(x), WEIGHT)
    expected = theirs.isc_features_to_metric(torch.from_numpy(x @ WEIGHT.T))
    assert found.value == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    assert found.std == pytest.approx(expected["inception_score_std"], rel=1e-5)


def test_certain_and_different_answers_score_their_number() -> None:
    certain = 100 * np.tile(np.eye(4, dtype=np.float32), (50, 1))
    assert inception_score(features_of(certain), np.eye(4, dtype=np.float32)).value == pytest.approx(4, rel=0.1)
    assert np.isfinite(inception_score(features_of(50 * certain), np.eye(4, dtype=np.float32)).interval).all()
    same = np.ones((50, 4), np.float32)
    assert inception_score(features_of(same), np.eye(4, dtype=np.float32)).value == pytest.approx(1)


def test_the_interval_is_as_wide_as_scores_of_other_samples_scatter() -> None:
    found = [inception_score(features_of(correlated(200, 16, 2 * seed)), WEIGHT) for seed in range(30)]
    widths = [each.interval[1] - each.interval[0] for each in found]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std([each.value for each in found]), rel=0.4)


def test_ten_images_are_needed() -> None:
    with pytest.raises(DataError, match="Cannot compute the Inception Score of 9 images: it has 10 parts."):
        inception_score(features_of(correlated(9, 16, 1)), WEIGHT)
