"""Grad-CAM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation import gradcam
from inceptorch.models.module import Model
from inceptorch.networks.layers import Dropout, GlobalAverage
from inceptorch.networks.transforms import narrowed
from inceptorch.networks.zoo import NETS
from tests.explanation.helpers import EVERY, classifier_of, noise, rank_correlation, with_hooks


@pytest.mark.parametrize("layer", [layer for layer in EVERY.body if layer != "dropout"])
def test_gradcam_of_every_kind_of_layer_is_that_of_hooks(every: Classifier, layer: str) -> None:
    crops = noise(3, 16)
    found = gradcam(every, crops, [2, 0, 1], layer)
    assert found.dtype == np.float32
    assert found.max() > 0
    for crop, index, one in zip(crops, (2, 0, 1), found, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), with_hooks(every, crop, index, layer), rtol=1e-4, atol=1e-6)


def test_gradcam_of_a_trained_googlenet_is_that_of_hooks(bvlc: Classifier, shared: Path) -> None:
    crop = bvlc.preprocessing.apply(shared / "photos" / "0c7ac4a8c9dfa802.png")
    index = bvlc.predict(crop, top=1)[0]["index"]
    # Behind 4c is a maximum, which two almost equal values may win either way.
    for layer, side, share in (("5b", 7, 1e-5), ("4c", 14, 5e-3)):
        found = gradcam(bvlc, [crop], [index], layer)
        assert found.shape == (1, side, side)
        expected = with_hooks(bvlc, crop, index, layer)
        torch.testing.assert_close(torch.from_numpy(found[0]), expected, rtol=1e-3, atol=share * float(expected.max()))


def test_gradcam_whatever_the_caller_had_set(every: Classifier) -> None:
    crops = noise(2, 16)
    expected = gradcam(every, crops, [0, 1], "mix")
    with torch.inference_mode():
        np.testing.assert_array_equal(gradcam(every, crops, [0, 1], "mix"), expected)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(gradcam(every, crops, [0, 1], "mix"), expected)
    every.model.train().requires_grad_(False)
    np.testing.assert_array_equal(gradcam(every, crops, [0, 1], "mix"), expected)
    assert all(parameter.grad is None for parameter in every.model.parameters())


@pytest.mark.parametrize("name", ["googlenet", "bn_inception", "inception_v3_small", "nin"])
def test_gradcam_before_global_averaging_is_the_class_activation_map(name: str) -> None:
    """Grad-CAM's weights are then the classifier's, divided by the places of the map (arXiv:1610.02391 section 3.1)."""
    net = NETS[name]
    assert [layer for layer in net.head.values() if not isinstance(layer, Dropout)] == [GlobalAverage()]
    last = [name for name, layer in net.body.items() if not isinstance(layer, Dropout)][-1]
    classifier = classifier_of(narrowed(net, 0.1), classes=8)
    (crop,) = noise(1, 96)
    found = gradcam(classifier, [crop] * 8, range(8), last)
    with torch.no_grad():
        maps = classifier.model.forward_features(classifier.prepare([crop]))[0]
        cams = torch.einsum("kc,chw->khw", classifier.model.get_classifier().weight, maps)
    assert min(cams.shape[1:]) > 1
    assert (cams.amax((1, 2)) > 0).sum() >= 2
    expected = cams.clamp(min=0) / cams[0].numel()
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_randomised_weights_change_the_maps_of_a_trained_googlenet(bvlc: Classifier, shared: Path) -> None:
    crops = [bvlc.preprocessing.apply(path) for path in sorted((shared / "photos").glob("*.png"))[:8]]
    classes = bvlc.logits(crops).argmax(1).tolist()
    torch.manual_seed(0)
    fresh = Classifier.of(Model(bvlc.model.net, 1000), bvlc.preprocessing, bvlc.classes)
    pairs = zip(gradcam(bvlc, crops, classes), gradcam(fresh, crops, classes), strict=True)
    correlations = [rank_correlation(*pair) for pair in pairs if pair[1].std() > 0]
    assert len(correlations) >= 4
    assert abs(np.mean(correlations)) < 0.4, correlations
