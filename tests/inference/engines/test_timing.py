"""Speed of an engine."""

from pathlib import Path

import numpy as np

from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import latencies, random_images, throughput
from inceptorch.inference.engines.torch import Torch
from tests.conftest import TINY
from tests.helpers import classifier_of


def test_an_engine_is_timed() -> None:
    engine, crops = Torch(classifier_of(TINY), device="cpu"), random_images(16, 2)
    assert throughput(engine, crops, 0.5) > 0
    times = latencies(engine, crops, 3)
    assert len(times) == 3
    assert 0 < min(times) <= max(times) < 60  # seconds of a call, not since the machine began


def test_a_detector_is_timed_on_its_images(detector: Path) -> None:
    engine, images = open_engine(detector, "onnxruntime"), random_images((96, 64), 1)
    assert images.shape == (1, 64, 96, 3)
    assert throughput(engine, images, 0.5) > 0
    assert len(latencies(engine, images, 2)) == 2


def test_random_images_are_the_same_every_time_and_smoother_than_noise() -> None:
    images = random_images(20, 3)
    assert images.shape == (3, 20, 20, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, random_images(20, 3))
    assert np.abs(np.diff(images.astype(float), axis=1)).mean() < images.astype(float).std()
