"""The logarithm of the softmax, and indices spread evenly."""

import numpy as np

from inceptorch.utils.arrays import log_softmax, spread


def test_log_softmax_is_exact_and_does_not_overflow() -> None:
    logits = np.array([[0.0, np.log(3.0)], [1e4, -1e4]])
    np.testing.assert_allclose(log_softmax(logits), [[np.log(0.25), np.log(0.75)], [0.0, -2e4]], rtol=1e-12)


def test_indices_come_from_all_over() -> None:
    assert spread(9, 3) == [0, 4, 8]
    assert spread(3, 20) == [0, 1, 2]
    assert spread(0, 20) == []
