"""Checks of recipe, network and data before a run."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.errors import InceptorchError, RecipeError, TableError
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.recipe import RECIPES, Recipe
from inceptorch.training.run import read_run
from inceptorch.training.setup import TrainRequest, new_run
from tests.data.annotations.helpers import write_voc
from tests.helpers import detector
from tests.training.helpers import CPU, QUIET


def test_growth_where_the_network_takes_one_size_alone(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    growing = recipe.replace(size_schedule=((0.0, 0.75), (1.0, 1.0)))
    with pytest.raises(RecipeError, match="tiny has fully connected layers, .*--set aux_loss_weight=0"):
        inceptorch.train(images, out=tmp_path / "run", recipe=growing, progress=QUIET)
    recipe = growing.replace(net="inception_v3", aux_loss_weight=0.0, size_schedule=((0.0, 0.1), (1.0, 1.0)))
    with pytest.raises(TableError, match="Images of 28x28 are too small for inception_v3"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_batch_too_small_for_the_processes_is_refused(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match="too small for 5 processes.*--set batch_size=10"):
        new_run(TrainRequest(images, tmp_path / "run", recipe=recipe), DistributedContext(0, 5, CPU))


def test_weights_and_epochs_are_finetuned_and_head_alone_has_no_epochs(
    images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    given = inceptorch.train(images, out=tmp_path / "given", recipe=recipe.replace(epochs=1), progress=QUIET).run
    words = {"weights": given, "progress": QUIET}
    tuned = inceptorch.train(images, out=tmp_path / "tuned", epochs=1, **words)  # type: ignore[arg-type]
    assert read_run(tuned.run).recipe.replace(epochs=6, precision="auto", net="googlenet") == RECIPES["finetune"]
    probed = inceptorch.train(images, out=tmp_path / "probed", **words)  # type: ignore[arg-type]
    assert read_run(probed.run).recipe.name == "head"
    assert inceptorch.train(images, out=tmp_path / "new", epochs=1, size=16, net="tiny", progress=QUIET).epochs == 1
    assert read_run(tmp_path / "new").recipe.name == "scratch"
    with pytest.raises(RecipeError, match=r"by recipe head.* Try --recipe finetune --epochs 3\."):
        inceptorch.train(images, out=tmp_path / "x", recipe="head", epochs=3, **words)  # type: ignore[arg-type]


def test_detectors_and_classifiers_are_told_apart(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    detector().save(tmp_path / "detector")
    write_voc(tmp_path / "boxes")
    for data, arguments, message in (
        (images, {"weights": tmp_path / "detector", "recipe": recipe}, "Cannot train a classifier from .*detector"),
        (images, {"recipe": "boxes"}, "Cannot train by recipe 'boxes': .*train has no boxes"),
        (tmp_path / "boxes", {"weights": tmp_path / "detector", "recipe": "head"}, "which fits a classifier"),
        (tmp_path / "boxes", {"weights": tmp_path / "detector", "recipe": "finetune"}, "Try --recipe boxes-head"),
    ):
        with pytest.raises(InceptorchError, match=message):
            inceptorch.train(data, out=tmp_path / "run", progress=QUIET, **arguments)
        assert not (tmp_path / "run").exists()
