from pathlib import Path

import numpy as np
import pytest

from inceptorch.errors import DataError
from inceptorch.features.sides import Opened, is_statistics, open_statistics
from inceptorch.features.statistics import save_statistics
from tests.features.helpers import correlated, side_of

ABOUT = {"convention": "pytorch-fid", "network": "inception_v3_fid", "weights": "ab" * 32}


def test_statistics_are_told_by_their_name() -> None:
    assert is_statistics("a.npz")
    assert is_statistics(Path("A.NPZ"))
    assert not is_statistics("folder")
    assert not is_statistics([np.zeros((2, 8, 8, 3), np.uint8)])


def test_statistics_of_the_same_are_opened_and_of_others_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    found = side_of(correlated(30, 8, 1)).statistics
    save_statistics(type(found)(found.mu, found.sigma, found.n, ABOUT), file)
    side = open_statistics(file, ABOUT, 8)
    assert (side.name, side.formats, side.side.statistics.n) == (str(file), {}, 30)
    for name, remedy in (("convention", "Try --convention pytorch-fid."), ("network", "Try the same network.")):
        with pytest.raises(DataError, match=f"its statistics are of the {name} .*, not other. {remedy}"):
            open_statistics(file, {**ABOUT, name: "other"}, 8)
    with pytest.raises(DataError, match="of 8 features, not of 9"):
        open_statistics(file, ABOUT, 9)


def test_statistics_have_no_features() -> None:
    with pytest.raises(DataError, match="Cannot compute more than FID with b.npz: it holds statistics."):
        _ = Opened("b.npz", side_of(correlated(30, 8, 1), alone=True)).features
