"""The default layer, and the network split at a layer."""

from __future__ import annotations

import pytest

from inceptorch.explanation import default_layer
from inceptorch.networks.layers import LRN, Conv, Dropout, GlobalAverage, Pool, Shape, as_layer
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS


@pytest.mark.parametrize("net", NETS.values(), ids=lambda net: net.name)
def test_every_network_has_a_layer_that_tells_places_apart(net: NetworkSpec) -> None:
    chosen = default_layer(net, net.size)
    shape: Shape = (3, net.size, net.size)
    shapes = {}
    for name, layer in net.body.items():
        shape = shapes[name] = as_layer(layer).output_shape(shape)
    assert min(shapes[chosen][1:]) >= 4
    # Nothing behind it is as large and has weights of its own: it is the deepest.
    layers = list(net.body)
    for later in layers[layers.index(chosen) + 1 :]:
        assert min(shapes[later][1:]) < 4 or isinstance(net.body[later], Pool | LRN | Dropout), later


def test_the_layers_are_those_that_one_would_choose() -> None:
    chosen = {
        name: default_layer(NETS[name], NETS[name].size) for name in ("googlenet", "vgg16", "alexnet", "inception_v3")
    }
    assert chosen == {"googlenet": "5b", "vgg16": "conv5", "alexnet": "conv5", "inception_v3": "7c"}
    assert default_layer(NETS["inception_resnet_v2_released"], 299) == "conv7b"
    assert default_layer(NETS["googlenet_small"], 32) == "4e"  # behind it are maps of 2x2
    assert default_layer(NETS["googlenet_small"], 96) == "5b"
    body = {"a": Conv(4, 4, 1, "valid"), "b": Conv(4), "c": Conv(4, 3, 1, "valid")}
    shrinking = NetworkSpec("shrinking", "", "", 6, body, {"avgpool": GlobalAverage()})
    assert default_layer(shrinking, 6) == "b"  # 3x3, 3x3, 1x1: the last of the largest
