"""RMSProp as TensorFlow computes it, and rates by layer."""

import numpy as np
import torch

from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.optimizers import TensorFlowRMSProp, build_optimizer
from inceptorch.training.recipe import Recipe, with_values


def test_rmsprop_is_tensorflows() -> None:
    """Against the formula, number by number; and unlike torch's where epsilon is 1."""
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = TensorFlowRMSProp(
        [{"params": [parameter], "weight_decay": 0.1}], lr=0.1, decay=0.9, eps=1.0, momentum=0.9
    )
    value, mean, step = np.array([1.0, -2.0]), np.ones(2), np.zeros(2)
    for gradient in ([0.5, 3.0], [-1.0, 0.2], [0.0, 0.0]):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        g = np.array(gradient) + 0.1 * value
        mean = 0.9 * mean + 0.1 * g * g
        step = 0.9 * step + 0.1 * g / np.sqrt(mean + 1)
        value = value - step
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-6)


def test_rates_fall_from_the_classifier_to_the_stem(tiny: NetworkSpec, recipe: Recipe) -> None:
    model = Model(tiny, 3)
    optimizer = build_optimizer(model, with_values(recipe, {"layer_decay": 0.5, "optimizer": "adamw"}))
    shares = {id(parameter): group["lr_scale"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {shares[id(p)] for p in model.body.get_submodule("conv1").parameters()} == {0.125}
    assert {shares[id(p)] for p in model.body.get_submodule("mix").parameters()} == {0.25}
    assert {shares[id(p)] for p in model.head.parameters()} == {1.0}
    assert len(shares) == len(list(model.parameters()))
