from pathlib import Path

import numpy as np
import pytest

from inceptorch.errors import DataError
from inceptorch.features.statistics import load_statistics, save_statistics, statistics
from tests.conftest import Trap
from tests.features.helpers import correlated, features_of


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_is_numpys_bit_for_bit_and_the_covariance_its(dtype: type[np.float32 | np.float64]) -> None:
    array = correlated(1500, 12, 1, shift=1.0)
    found = statistics(features_of(array), dtype, {"convention": "clean-fid"})
    np.testing.assert_array_equal(found.mu, array.astype(dtype).mean(0))
    assert found.mu.dtype == dtype
    np.testing.assert_allclose(found.sigma, np.cov(array, rowvar=False), rtol=1e-12, atol=1e-14)
    assert found.n == 1500


def test_statistics_come_back_and_are_those_that_others_read(tmp_path: Path) -> None:
    found = statistics(features_of(correlated(50, 12, 1)), np.float32, {"convention": "clean-fid", "weights": "ab"})
    save_statistics(found, tmp_path / "a.npz")
    again = load_statistics(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:  # as pytorch-fid and clean-fid do
        np.testing.assert_array_equal(file["mu"][:], found.mu)
        np.testing.assert_array_equal(file["sigma"][:], found.sigma)
    assert (again.n, again.about) == (50, {"convention": "clean-fid", "weights": "ab"})
    np.testing.assert_array_equal(again.mu, found.mu)


def test_files_of_others_do_not_say_what_they_are_of(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", mu=np.zeros(3), sigma=np.eye(3))
    assert (load_statistics(tmp_path / "b.npz").n, load_statistics(tmp_path / "b.npz").about) == (None, {})


def test_files_that_hold_no_statistics_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    bad = {
        "holds no statistics, which are the arrays mu and sigma": {"features": np.zeros((3, 4))},
        r"its mu is \[3\] and its sigma \[4, 4\]": {"mu": np.zeros(3), "sigma": np.eye(4)},
        "its statistics are not finite": {"mu": np.full(3, np.nan), "sigma": np.eye(3)},
    }
    for sentence, arrays in bad.items():
        np.savez(path, **arrays)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=sentence):
            load_statistics(path)
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match="it is damaged, or holds no statistics"):
        load_statistics(path)
    with pytest.raises(DataError, match=r"c\.npz does not exist"):
        load_statistics(tmp_path / "c.npz")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mu=np.array([Trap(tmp_path / "sprung")], object), sigma=np.eye(1))
    with pytest.raises(DataError, match="it is damaged, or holds no statistics"):
        load_statistics(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()
