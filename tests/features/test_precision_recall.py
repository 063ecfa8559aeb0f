import numpy as np
import pytest

from inceptorch.errors import DataError
from inceptorch.features.precision_recall import hits
from tests.features.helpers import correlated, features_of


def test_fractions_are_torch_fidelitys() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_prc", reason="torch-fidelity is missing")
    torch = pytest.importorskip("torch")
    x, y = correlated(600, 8, 1), correlated(700, 8, 2)
    precision, recall = hits(features_of(x), features_of(y))
    expected = theirs.prc_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), verbose=False)
    assert 0 < precision < 600
    assert precision / 600 == pytest.approx(expected["precision"])
    assert recall / 700 == pytest.approx(expected["recall"])


def test_images_lie_among_others_by_the_third_neighbor() -> None:
    real = np.arange(8, dtype=np.float32)[:, None]  # inner radii are 2, outer ones 3
    generated = np.array([[-2.5], [-3.5], [3.5], [9.9], [10.1], [50], [51]], np.float32)
    precision, _ = hits(features_of(generated), features_of(real))
    assert precision == 3


def test_five_images_are_needed() -> None:
    with pytest.raises(DataError, match="Cannot compute precision and recall of 4 and 9 images"):
        hits(features_of(correlated(4, 8, 1)), features_of(correlated(9, 8, 2)))
