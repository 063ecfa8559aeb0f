"""Whitening: a convolution whose filters do not learn."""

import torch

from inceptorch.networks.layers import Whitening


def test_shapes_counts_and_what_learns() -> None:
    layer = Whitening()
    assert layer.output_shape((3, 32, 32)) == (24, 31, 31)
    assert layer.output_shape((1, 32, 32)) == (8, 31, 31)
    params, macs = layer.count((3, 32, 32), None)
    module = layer.module((3, 32, 32), None)
    assert params == sum(parameter.numel() for parameter in module.parameters()) == 24 * 12 + 24
    assert macs == 24 * 12 * 31 * 31
    learns = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert learns == {"conv.bias"}
    assert layer.tensors((3, 32, 32), None).keys() == dict(module.named_parameters()).keys()
    assert module(torch.zeros(1, 3, 8, 8)).shape == (1, 24, 7, 7)
