"""What timm's loaders find in a bundle."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.serialization import from_plain
from inceptorch.networks.timm_config import BGR, bundle_keys, pretrained_cfg
from inceptorch.networks.zoo import NETS


def test_networks_with_fully_connected_layers_have_a_fixed_size() -> None:
    sizes = {name: pretrained_cfg(NETS[name], default_preprocessing(64)) for name in ("alexnet", "googlenet")}
    assert [each["fixed_input_size"] for each in sizes.values()] == [True, False]
    assert bundle_keys(NETS["alexnet"], default_preprocessing(64), 5)["model_args"]["img_size"] == 64


def test_means_are_those_of_rgb_and_a_note_says_that_weights_are_not() -> None:
    pixels = replace(default_preprocessing(64), channels="bgr", mean=(51.0, 102.0, 153.0))
    cfg = pretrained_cfg(NETS["bn_inception"], pixels)
    assert (cfg["mean"], cfg["notes"], cfg["first_conv"]) == ((0.6, 0.4, 0.2), (BGR,), "body.conv1.depthwise")


def test_a_network_of_ones_own_brings_its_table() -> None:
    own = replace(NETS["nin"], name="mine")
    keys = bundle_keys(own, default_preprocessing(64), 5)
    assert keys["architecture"] == "inceptorch_network"
    assert from_plain(keys["model_args"]["network"]) == own


@pytest.mark.parametrize("name", ["nin", "bn_inception", "googlenet", "vgg16"])
def test_the_first_convolution_is_that_of_the_model(name: str) -> None:
    with torch.device("meta"):
        model = Model(NETS[name], 5, initialize=False)
    convolutions = [path for path, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert pretrained_cfg(NETS[name], default_preprocessing(NETS[name].size))["first_conv"] == convolutions[0]
