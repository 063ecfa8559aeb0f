"""A caller's own loss."""

from pathlib import Path

import pytest
from torch import Tensor
from torch.nn import functional as F

import inceptorch
from inceptorch.errors import RecipeError, RunError
from inceptorch.training.recipe import Recipe
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
    with pytest.raises(RecipeError, match="Weigh them there, with --set class_weight_power=0"):
        inceptorch.train(
            data, out=tmp_path / "x", recipe=simple.replace(class_weight_power=1.0), loss=mean, progress=QUIET
        )
