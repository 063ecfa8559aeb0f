"""The logarithm of the softmax."""

import numpy as np

from inceptorch.utils.arrays import log_softmax


def test_log_softmax_is_exact_and_does_not_overflow() -> None:
    logits = np.array([[0.0, np.log(3.0)], [1e4, -1e4]])
    np.testing.assert_allclose(log_softmax(logits), [[np.log(0.25), np.log(0.75)], [0.0, -2e4]], rtol=1e-12)
