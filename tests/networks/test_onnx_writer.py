"""Nodes of an ONNX graph in the making."""

import numpy as np
import torch
from torch import nn

from inceptorch.networks.onnx_writer import OnnxWriter


def test_batch_normalization_is_folded_into_the_convolution() -> None:
    torch.manual_seed(0)
    module = nn.Sequential()
    module.add_module("conv", nn.Conv2d(3, 4, 3))
    module.add_module("bn", nn.BatchNorm2d(4, eps=0.01))
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    tensors = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    weight, bias = OnnxWriter(tensors, eps=0.01).folded("conv", "bn")
    assert bias is not None
    x = torch.randn(2, 3, 5, 5)
    folded = nn.functional.conv2d(x, torch.from_numpy(weight), torch.from_numpy(bias))
    torch.testing.assert_close(folded, module.eval()(x))


def test_a_node_is_called_as_its_output() -> None:
    writer = OnnxWriter({}, None)
    x = writer.convolution("x", "4a/0/conv", np.zeros((2, 3, 1, 1), np.float32), None)
    window = {each.name: list(each.ints) for each in writer.nodes[0].attribute if each.ints}
    assert window == {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0, 0, 0, 0]}
    assert writer.node("Relu", [x], "4a/0/relu", output="maps") == "maps"
    assert [(node.name, *node.input, *node.output) for node in writer.nodes] == [
        ("4a/0/conv", "x", "4a/0/conv/weight", "4a/0/conv"),
        ("4a/0/relu", "4a/0/conv", "maps"),
    ]
