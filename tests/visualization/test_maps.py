"""Maps of any layer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from inceptorch.classifier import Classifier
from inceptorch.errors import TableError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.networks.zoo import get_network
from inceptorch.visualization.maps import Maps, RelaxedReLU
from tests.helpers import classifier_of, detector


def test_maps_are_those_of_the_model(tiny: Classifier) -> None:
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    names = list(tiny.model.net.body)
    maps = Maps(tiny, [names[-1], names[1], "logits"])(pixels / 255)
    assert list(maps) == [names[-1], names[1], "logits"]
    with torch.no_grad():
        x = tiny.prepare(pixels.permute(0, 2, 3, 1).numpy())
        expected = tiny.model.forward_intermediates(x, [names[-1], names[1]], intermediates_only=True)
        for name, found in zip([names[-1], names[1]], expected, strict=True):
            torch.testing.assert_close(maps[name], found, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(maps["logits"], tiny.model(x), rtol=1e-4, atol=1e-5)


def test_the_walk_ends_at_the_last_layer_needed(tiny: Classifier) -> None:
    names = list(tiny.model.net.body)
    assert Maps(tiny, [names[1]]).walked == names[:2]
    assert Maps(tiny, [names[1], "logits"]).walked == []  # the whole network


def test_a_module_within_a_layer_is_shown_before_what_follows_it(tiny: Classifier) -> None:
    """The map of a convolution has negative values, though the ReLU after it once worked in place."""
    path = next(name for name, module in tiny.model.body.named_modules() if isinstance(module, nn.Conv2d))
    maps = Maps(tiny, [path])(torch.rand(1, 3, 32, 32))
    assert maps[path].min() < 0


def test_images_have_gradients_and_weights_none(tiny: Classifier) -> None:
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    maps = Maps(tiny, ["logits"])
    maps(images)["logits"][0, 1].backward()
    assert images.grad is not None
    assert images.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in maps.parameters())
    assert all(parameter.requires_grad for parameter in tiny.model.parameters())


def test_shapes_need_only_the_layers_up_to_them(tiny: Classifier) -> None:
    first = next(iter(tiny.model.net.body))
    maps = Maps(tiny, [first])
    assert maps.shapes(9, 7)[first][1:] == (9, 7)


def test_a_detector_and_a_custom_module_have_maps() -> None:
    found = detector()
    assert found.config.detection is not None
    level = found.config.detection.levels[0]
    width, height = found.config.input_size
    assert Maps(found, [level]).shapes(height, width)[level][0] > 0

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    custom = Classifier.of(module, default_preprocessing(8), list("abcd"))  # type: ignore[arg-type]
    assert Maps(custom, ["0", "logits"]).shapes(8, 8) == {"0": (4, 6, 6), "logits": (4,)}


def test_unknown_layers_and_small_images_are_named(tiny: Classifier) -> None:
    with pytest.raises(TableError, match=r"Cannot see layer '4z', which the network does not have: "):
        Maps(tiny, ["4z"])
    large = Maps(classifier_of(get_network("googlenet"), classes=2), ["4c"])
    with pytest.raises(TableError, match=r"Cannot see layer pool2: images of 3x5 pixels are too small\."):
        large.shapes(5, 3)


def test_a_relaxed_relu_raises_an_image_whose_units_are_all_zero() -> None:
    """The first image is dead, the second is not: only the first one's gradients are changed, and only upward."""
    x = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, 2.0, -3.0]], requires_grad=True)
    upstream = torch.tensor([[-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    relu = RelaxedReLU()
    (plain,) = torch.autograd.grad(relu(x), x, upstream)
    assert plain.tolist() == [[0, 0, 0], [0, 1, 0]]
    relu.relaxed = True
    out = relu(x)
    assert out.tolist() == torch.relu(x).tolist()
    (relaxed,) = torch.autograd.grad(out, x, upstream)
    assert relaxed.tolist() == [[-1, 0, 0], [0, 1, 0]]


def test_relaxed_ends_with_its_context(tiny: Classifier) -> None:
    maps = Maps(tiny, ["logits"])
    relus = [module for module in maps.network.modules() if isinstance(module, RelaxedReLU)]
    assert relus
    with maps.relaxed():
        assert all(relu.relaxed for relu in relus)
    assert not any(relu.relaxed for relu in relus)


def test_a_signed_layer_is_that_before_its_last_relus(tiny: Classifier) -> None:
    """Where it is positive it is as before. A branch that ends in pooling has no ReLU of its own."""
    names = list(tiny.model.net.body)
    layer = next(name for name in names if type(tiny.model.body.get_submodule(name)).__name__ == "Concat")
    maps = Maps(tiny, [layer])
    images = torch.rand(1, 3, 32, 32)
    usual = maps(images)[layer]
    with maps.signed(layer):
        signed = maps(images)[layer]
    assert usual.min() == 0
    assert signed.min() < 0
    assert torch.equal(signed.relu(), usual)
    assert torch.equal(maps(images)[layer], usual)


def test_all_of_it_is_on_the_classifiers_device(tiny: Classifier) -> None:
    elsewhere = copy.deepcopy(tiny)
    elsewhere.model.to("meta")
    maps = Maps(elsewhere, ["conv1"])
    assert {tensor.device.type for tensor in maps.state_dict(keep_vars=True).values()} == {"meta"}
    assert maps.device.type == maps.normalize.mean.device.type == "meta"
