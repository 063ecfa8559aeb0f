"""Maps at a lower resolution."""

from __future__ import annotations

import numpy as np
import pytest

from inceptorch.explanation.grid import area_mean, area_sum


def test_grids_keep_what_they_sum() -> None:
    fine = np.random.default_rng(0).normal(size=(299, 30)).astype(np.float32)
    coarse = area_sum(fine, 28)
    assert coarse.shape == (28, 28)
    assert float(coarse.sum()) == pytest.approx(float(fine.sum()), abs=1e-3)
    np.testing.assert_array_equal(area_sum(fine[:20, :20], 28), fine[:20, :20])
    np.testing.assert_allclose(area_sum(fine[:28, :28], 14)[0, 1], fine[:2, 2:4].sum(), rtol=1e-5)
    np.testing.assert_allclose(area_mean(np.full((45, 45), 3, np.float32), 16), 3, rtol=1e-6)
