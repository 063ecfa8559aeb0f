"""Integrated gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation import integrated_gradients
from inceptorch.explanation.gradients import TOLERANCE
from inceptorch.explanation.grid import area_sum
from inceptorch.images.preprocessing import Preprocessing
from tests.conftest import TINY
from tests.explanation.helpers import classifier_of, noise


@pytest.mark.parametrize("layer", [None, "mix"])
def test_integrated_gradients_sum_to_the_difference_in_logits(layer: str | None) -> None:
    plain = classifier_of(TINY)
    classifier = Classifier.of(plain.model, Preprocessing(16, 16, mean=(120.0, 110.0, 100.0)), plain.classes)
    mean = np.broadcast_to(np.array([120, 110, 100], np.uint8), (16, 16, 3))
    for index, crop in enumerate(noise(3, 16)):
        found, difference = integrated_gradients(classifier, crop, index, layer)
        logits = classifier.logits([crop, mean])[:, index]
        assert difference == pytest.approx(float(logits[0] - logits[1]), abs=1e-4)
        assert abs(difference) > 0.1
        assert abs(float(found.sum()) - difference) <= TOLERANCE * max(abs(difference), 1)
        assert found.shape == ((14, 14) if layer is None else (8, 8))


def test_integrated_gradients_are_the_mean_gradient_along_the_path(every: Classifier) -> None:
    (crop,) = noise(1, 16)
    found, _ = integrated_gradients(every, crop, 1)
    x = every.prepare([crop])
    steps = 400
    path = ((torch.arange(steps) + 0.5) / steps).view(-1, 1, 1, 1) * x
    (gradient,) = torch.autograd.grad(every.model(path.requires_grad_())[:, 1].sum(), path)
    expected = torch.from_numpy(area_sum((gradient.mean(0) * x[0]).sum(0).numpy(), 14))
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=0.03 * float(expected.abs().max()))
