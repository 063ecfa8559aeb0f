"""Checks of recipe, network and data before a run."""

from pathlib import Path

import pytest
import torch

import inceptorch
from inceptorch.errors import InceptorchError, RecipeError, TableError
from inceptorch.models.weights import read_safetensors
from inceptorch.networks.layers import BatchNorm, Conv, GlobalAverage, Whitening
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
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


def test_whitening_further_in_is_refused(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = NetworkSpec(
        "late", title="late", source="these tests", size=16,
        body={"conv": Conv(4, 3), "whitening": Whitening()}, head={"avgpool": GlobalAverage()},
    )  # fmt: skip
    monkeypatch.setitem(NETS, "late", net)
    with pytest.raises(TableError, match="Cannot train late: training images set the filters of its first layer alone"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(net="late"), progress=QUIET)


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


def test_a_random_body_trains_its_batch_statistics_and_a_given_one_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {name: Conv(8, 3, 2) for name in "abc"}
    monkeypatch.setitem(
        NETS,
        "three",
        NetworkSpec("three", "three layers", "a test", 64, body, {"mean": GlobalAverage()}, norm=BatchNorm()),
    )
    data, recipe = write_voc(tmp_path / "boxes"), RECIPES["boxes"].replace(batch_size=2, size=64, epochs=1)

    def statistics(run: Path) -> dict[str, torch.Tensor]:
        tensors = read_safetensors(run / "model.safetensors")
        return {name: tensor for name, tensor in tensors.items() if "running" in name}

    random = inceptorch.train(data, net="three", recipe=recipe, out=tmp_path / "random", progress=QUIET)
    first = statistics(random.run)
    assert len(first) == 6
    assert all(len(set(tensor.tolist())) == 8 for tensor in first.values())
    given = inceptorch.train(data, weights=random.run, recipe=recipe, out=tmp_path / "given", progress=QUIET)
    assert all(torch.equal(first[name], tensor) for name, tensor in statistics(given.run).items())
