"""torch as an engine."""

import numpy as np

from inceptorch.inference.engines.timing import random_images
from inceptorch.inference.engines.torch import Torch
from tests.conftest import TINY
from tests.helpers import classifier_of


def test_outputs_are_the_classifiers_in_fp32_and_near_in_bf16() -> None:
    classifier, crops = classifier_of(TINY), random_images(16, 3)
    output = Torch(classifier, device="cpu").run(crops)
    np.testing.assert_array_equal(output.logits, classifier.logits(crops).numpy())
    np.testing.assert_allclose(output.probabilities.sum(1), 1, rtol=1e-6)
    less = Torch(classifier, "bf16", device="cpu").run(crops, maps=True)
    assert less.maps is not None
    assert 0 < np.abs(less.probabilities - output.probabilities).max() < 0.05
