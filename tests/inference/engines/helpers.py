"""Functions that several of these tests use."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inceptorch.images.boxes import Boxes
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


def assert_same_boxes(found: Sequence[Boxes], expected: Sequence[Boxes]) -> None:
    """The same boxes in the same order, image by image, to 0.1 pixels and 1e-4 of a score."""
    assert [len(each) for each in found] == [len(each) for each in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.xyxy, other.xyxy, rtol=0, atol=0.1)
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=1e-4)
