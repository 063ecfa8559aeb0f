"""Speed of an engine."""

import numpy as np

from inceptorch.inference.engines.timing import latencies, random_images, throughput
from inceptorch.inference.engines.torch import Torch
from tests.conftest import TINY
from tests.helpers import classifier_of


def test_an_engine_is_timed() -> None:
    engine, crops = Torch(classifier_of(TINY), device="cpu"), random_images(16, 2)
    assert throughput(engine, crops, 0.05) > 0
    times = latencies(engine, crops, 3)
    assert len(times) == 3
    assert 0 < min(times) <= max(times) < 60  # seconds of a call, not since the machine began


def test_random_images_are_the_same_every_time_and_smoother_than_noise() -> None:
    images = random_images(20, 3)
    assert images.shape == (3, 20, 20, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, random_images(20, 3))
    assert np.abs(np.diff(images.astype(float), axis=1)).mean() < images.astype(float).std()
