"""Norms of gradients by layer."""

from pathlib import Path

import pytest
import torch

from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS
from inceptorch.papers.gradients import GradientNorm, gradient_norms, grid, initial_gradients, plain
from tests.conftest import TINY


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])


def test_norms_are_those_of_backward() -> None:
    images, labels = batch()
    torch.manual_seed(0)
    model = Model(TINY, 3).train()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    norms = {each.layer: each for each in gradient_norms(model, images, labels)}
    torch.nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
    for name in ("conv1", "mix"):
        gradients = [each.grad.norm() for each in model.body.get_submodule(name).parameters() if each.grad is not None]
        assert norms[name].main == pytest.approx(float(torch.stack(gradients).norm()), rel=1e-4)
        assert norms[name].with_heads is None
    assert list(norms) == ["conv1", "mix"]  # pooling has no parameters


def test_fixed_filters_have_no_gradient() -> None:
    model = Model(NETS["inception_32"], 3).train()
    norms = {each.layer: each.main for each in gradient_norms(model, *batch())}
    bias = model.get_parameter("body.whitening.conv.bias")
    torch.nn.functional.cross_entropy(model(batch()[0]), batch()[1]).backward()  # type: ignore[no-untyped-call]
    assert bias.grad is not None
    assert norms["whitening"] == pytest.approx(float(bias.grad.norm()), rel=1e-4)


def test_heads_change_the_layers_below_them_only() -> None:
    from dataclasses import replace

    net = replace(TINY, body={**TINY.body, "last": TINY.body["conv1"]})
    torch.manual_seed(0)
    norms = {each.layer: each for each in gradient_norms(Model(net, 3, aux=True), *batch())}
    assert norms["mix"].with_heads != norms["mix"].main
    assert norms["last"].with_heads == pytest.approx(norms["last"].main)


def test_a_network_on_a_folder_of_images(images: Path) -> None:
    norms = initial_gradients(TINY, images)
    assert [each.layer for each in norms] == ["conv1", "mix"]
    assert norms == initial_gradients(TINY, images)
    assert plain(norms)[0] == {"layer": "conv1", "main": norms[0].main, "with_heads": norms[0].with_heads}


def test_the_table_compares_both() -> None:
    shown = grid([GradientNorm("conv1", 0.5, 1.0), GradientNorm("conv2", 0.25, None)])
    assert shown[1:] == [["conv1", "0.500", "1.00", "2.00"], ["conv2", "0.250", "", ""]]
