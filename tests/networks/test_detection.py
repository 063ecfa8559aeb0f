"""The head of a detector, as data: against the torch module."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inceptorch.errors import TableError
from inceptorch.models.detector import Detector
from inceptorch.networks.detection import DetectionHead, default_levels
from inceptorch.networks.zoo import get_network

# Of every line; Inception v3 and v4 have maps that are no whole number of pixels wide.
NETWORKS = ("googlenet", "googlenet_small", "bn_inception", "inception_v3", "inception_v4_small", "alexnet", "vgg16")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("channels", "depth", "in_chans"), [(32, 1, 3), (48, 0, 1)])
def test_tensors_and_parameters_are_those_of_the_module(name: str, channels: int, depth: int, in_chans: int) -> None:
    net = get_network(name)
    head = DetectionHead(default_levels(net), 160, 128, channels, depth)
    with torch.device("meta"):
        model = Detector(net, head, 5, in_chans, initialize=False)
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert head.tensors(net, 5, in_chans) == state
    parameters = sum(each.numel() for each in model.parameters()) - len(head.levels)  # the scales are no layer
    assert sum(each.params for each in head.costs(net, 5, in_chans)) == parameters


def test_multiply_adds_are_those_of_all_convolutions() -> None:
    net = get_network("googlenet_small")
    head = DetectionHead(default_levels(net), 96, 64, 32, 2)
    model = Detector(net, head, 5).eval()
    counted = []

    def count(module: nn.Conv2d, given: tuple[torch.Tensor], output: torch.Tensor) -> None:
        counted.append(module.weight.numel() * output.shape[2] * output.shape[3])

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    model(torch.zeros(1, 3, 64, 96))
    costs = head.costs(net, 5)
    assert sum(each.macs for each in costs) == sum(counted)
    assert [each.name for each in costs[-5:]] == ["class tower", "box tower", "classes", "edges", "centerness"]


def test_levels_are_the_last_layers_of_each_reduction() -> None:
    assert default_levels(get_network("googlenet")) == ("3b", "4e", "5b")
    assert default_levels(get_network("googlenet_small")) == ("4e", "5b")
    assert default_levels(get_network("inception_v3")) == ("5d", "6e", "7c")


def test_places_are_the_centers_of_the_parts_of_the_image() -> None:
    head = DetectionHead(("3b", "4e"), 96, 64)
    places = head.places([(480, 2, 3), (832, 1, 2)])
    assert places.dtype == np.float32
    fine = [(16, 16), (48, 16), (80, 16), (16, 48), (48, 48), (80, 48)]
    assert places[:6].tolist() == [[x, y, 32] for x, y in fine]
    np.testing.assert_allclose(places[6:], [(24, 32, math.sqrt(48 * 64)), (72, 32, math.sqrt(48 * 64))], rtol=1e-6)


def test_places_of_a_network_cover_its_image() -> None:
    net = get_network("googlenet")
    head = DetectionHead(default_levels(net), 320, 256)
    shapes = head.maps(net)
    assert [shape[1:] for shape in shapes] == [(32, 40), (16, 20), (8, 10)]
    places = head.places(shapes)
    assert len(places) == 32 * 40 + 16 * 20 + 8 * 10
    assert places[:, 2].tolist() == [8.0] * 1280 + [16.0] * 320 + [32.0] * 80
    for stride in (8, 16, 32):
        of_level = places[places[:, 2] == stride]
        assert of_level[:, :2].min() == stride / 2
        assert of_level[:, :2].max(0).tolist() == [320 - stride / 2, 256 - stride / 2]


def test_what_is_no_head_is_refused() -> None:
    net = get_network("googlenet_small")
    with pytest.raises(TableError, match="Cannot detect on layer '9z': googlenet_small has no such layer"):
        DetectionHead(("9z",), 96, 64).body(net)
    wrong: tuple[dict[str, Any], ...] = ({"width": 100}, {"height": 32}, {"channels": 40}, {"levels": []}, {"depth": 9})
    for values in wrong:
        with pytest.raises(TableError, match=f"{next(iter(values))}"):
            DetectionHead.from_dict({"levels": ["3b"], "width": 96, "height": 64, **values})
