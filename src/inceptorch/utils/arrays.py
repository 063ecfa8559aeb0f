"""Types of numpy arrays, and the logarithm of the softmax."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


def log_softmax(logits: Floats) -> Floats:
    """[N, classes], in float64."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return out
