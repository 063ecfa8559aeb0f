"""Types of numpy arrays, the logarithm of the softmax, and indices spread evenly."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


def log_softmax(logits: Floats) -> Floats:
    """[N, classes], in float64."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return out


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly from all over `count` of them, the first and the last included."""
    places: list[int] = np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64)).tolist()
    return places
