"""Functions that several of these tests use."""

import numpy as np
from numpy.typing import NDArray

from inceptorch.inference.engines import Engine


def differences(engine: Engine, other: Engine, crops: NDArray[np.uint8]) -> tuple[float, float]:
    """Of probabilities, and of maps in parts of their largest value."""
    a, b = engine.run(crops, maps=True), other.run(crops, maps=True)
    apart = float(np.abs(a.probabilities - b.probabilities).max())
    if a.maps is None or b.maps is None:
        assert a.maps is b.maps
        return apart, 0.0
    assert a.map_classes is not None
    np.testing.assert_array_equal(a.map_classes, b.map_classes)
    return apart, float(np.abs(a.maps - b.maps).max() / np.abs(a.maps).max())
