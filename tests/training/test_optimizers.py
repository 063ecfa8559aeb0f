"""RMSProp as TensorFlow computes it, Muon as torch does, and rates by layer."""

import numpy as np
import pytest
import torch

from inceptorch.errors import RecipeError
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.optimizers import Muon, TensorFlowRMSProp, build_optimizer, orthogonalize
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


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (24, 2, 2, 2)])
def test_muon_moves_filters_as_torchs_moves_matrices(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    filters = torch.nn.Parameter(torch.randn(shape))
    matrix = torch.nn.Parameter(filters.detach().flatten(1).clone())
    ours = Muon([{"params": [filters]}], lr=0.1, momentum=0.6)
    tall = (len(matrix) / max(matrix.shape[1], 1)) ** 0.5 if len(matrix) > matrix.shape[1] else 1.0
    theirs = torch.optim.Muon([matrix], lr=0.1 / tall, weight_decay=0, momentum=0.6, nesterov=True, ns_steps=3)
    for _ in range(3):
        filters.grad = torch.randn(shape)
        matrix.grad = filters.grad.flatten(1).clone()
        with torch.no_grad():
            matrix.mul_(len(matrix) ** 0.5 / matrix.norm())
        ours.step()
        theirs.step()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(filters.detach().flatten(1), matrix.detach(), atol=5e-3, rtol=0.01)


def test_orthogonal_rows_or_columns() -> None:
    for shape in ((16, 100), (100, 16)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert 0.5 < values.min() < values.max() < 1.4


def test_muon_has_rates_for_filters_biases_and_the_classifier(tiny: NetworkSpec, recipe: Recipe) -> None:
    model = Model(tiny, 3)
    values = {"optimizer": "muon", "lr": 0.2, "bias_lr": 5.0, "classifier_lr": 0.01}
    optimizer = build_optimizer(model, with_values(recipe, values))
    rates = {id(each): 0.2 * group["lr_scale"] for group in optimizer.param_groups for each in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4:
            assert rates[id(parameter)] == pytest.approx(0.2), name
        elif name.startswith("head.linear."):  # whose bias would jump at the others' rate
            assert rates[id(parameter)] == pytest.approx(0.01)
        elif name.endswith("bias"):
            assert rates[id(parameter)] == pytest.approx(5.0), name
        else:
            assert id(parameter) not in rates, name


def test_muon_without_a_rate_is_refused(recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match=r"lr is 0\.0; it must be above 0 with muon"):
        with_values(recipe, {"optimizer": "muon", "lr": 0.0})
