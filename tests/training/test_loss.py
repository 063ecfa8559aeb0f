"""A caller's own loss."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import inceptorch
from inceptorch.errors import RecipeError, RunError
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.tasks import Classification
from inceptorch.training.loss import TrainLoss
from inceptorch.training.recipe import SCRATCH, Recipe
from tests.training.helpers import QUIET, Patches, rows


def test_a_loss_of_ones_own_is_what_is_minimized(data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path) -> None:
    simple = recipe.replace(label_smoothing=0.0)

    def mean(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets)

    def doubled(logits: Tensor, targets: Tensor) -> Tensor:
        return 2 * F.cross_entropy(logits, targets, reduction="none")

    inceptorch.train(data, out=tmp_path / "ours", recipe=simple, progress=QUIET)
    inceptorch.train(data, out=tmp_path / "mean", recipe=simple, loss=mean, progress=QUIET)
    inceptorch.train(data, out=tmp_path / "doubled", recipe=simple, loss=doubled, progress=QUIET)
    ours, same, twice = (float(rows(tmp_path / name)[0]["train_loss"]) for name in ("ours", "mean", "doubled"))
    assert same == pytest.approx(ours, rel=1e-3)
    assert twice > 1.3 * ours
    with pytest.raises(RunError, match=r"it gives \(8, 3\). Return one number, or one for each image"):
        inceptorch.train(data, out=tmp_path / "wrong", recipe=simple, loss=lambda x, y: x, progress=QUIET)
    with pytest.raises(RunError, match="Cannot use the loss: it has no gradient"):
        inceptorch.train(
            data, out=tmp_path / "detached", recipe=simple, loss=lambda x, y: x.sum().detach(), progress=QUIET
        )
    with pytest.raises(RecipeError, match="Weigh them there, with --set class_weight_power=0"):
        inceptorch.train(
            data, out=tmp_path / "x", recipe=simple.replace(class_weight_power=1.0), loss=mean, progress=QUIET
        )


def test_the_loss_is_the_formula_with_its_smoothing_and_the_weight_of_auxiliary_heads(tiny: NetworkSpec) -> None:
    torch.manual_seed(0)
    model, classes = Model(tiny, 3, aux=True, size=16).eval(), ("a", "b", "c")
    x, targets = torch.randn(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    recipe = SCRATCH.replace(label_smoothing=0.2, aux_loss_weight=0.7)
    weights = torch.tensor([0.5, 1.0, 2.0])
    found = TrainLoss(model, Classification(classes), recipe, weights)(x, targets)

    def smoothed(logits: Tensor) -> Tensor:
        truth = 0.8 * F.one_hot(targets, 3) + 0.2 / 3
        return -(truth * logits.log_softmax(1)).sum(1)

    features, (aux,) = model.forward_intermediates(x, ["aux.mix"])
    expected = weights[targets] * (smoothed(model.forward_head(features)) + 0.7 * smoothed(aux))
    torch.testing.assert_close(found, expected)
