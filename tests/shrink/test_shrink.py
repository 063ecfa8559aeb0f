"""From a run to a smaller one, whole."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import inceptorch
from inceptorch.errors import DataError, InceptorchError, RunError
from inceptorch.evaluation import evaluate
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.serialization import read_table
from inceptorch.shrink import shrink as module
from inceptorch.shrink.choose import Budget
from inceptorch.shrink.shrink import ShrinkRequest, resume_shrink, shrink
from inceptorch.training.recipe import RECIPES, Recipe
from inceptorch.utils.progress import Progress
from tests.conftest import write_classes
from tests.helpers import classifier_of, detector
from tests.shrink.helpers import MIXED, QUIET


def request(run: Path, images: Path, out: Path, **values: object) -> ShrinkRequest:
    return ShrinkRequest(run, images, Budget(cost=0.6), out, images=12, epochs=1, **values)  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_nncf")
def test_a_smaller_run_is_a_run_like_any_other(run: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    found = shrink(request(run, images, out), QUIET)
    original, cut, tuned = found.steps
    assert [step.step for step in found.steps] == ["original", "cut", "fine-tuned"]
    assert original.cost == 1 > 0.6 >= cut.cost == tuned.cost
    assert original.top1 == evaluate(run, images, progress=QUIET).top1
    assert tuned.top1 == evaluate(out, images, progress=QUIET).top1 == found.result.top1
    net = inceptorch.load(out).config.network
    assert read_table(out / "network.yaml") == net
    counts = count_complexity(net, 16, 3)
    assert (tuned.macs, tuned.params) == (counts.macs, counts.params)
    assert json.loads((out / "shrink.json").read_text()) == [step.to_dict() for step in found.steps]
    assert (out / "shrink.png").stat().st_size > 5000
    config = yaml.safe_load((out / "run.yaml").read_text())
    assert config["teacher"]["folder"] == str(run)
    assert config["recipe"]["augmentation"] == yaml.safe_load((run / "run.yaml").read_text())["recipe"]["augmentation"]
    again = inceptorch.train(images, weights=out, recipe="head", out=tmp_path / "again", progress=QUIET)
    assert again.classifier.config.network == net


@pytest.mark.usefixtures("no_nncf")
def test_interrupted_fine_tuning_goes_on_to_the_same_bits(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = shrink(request(run, images, tmp_path / "whole"), QUIET)
    step, left = torch.optim.SGD.step, [1]

    def interrupted(self: torch.optim.SGD, *args: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shrink(request(run, images, tmp_path / "small"), Progress())
    assert (
        f"or with: inceptorch shrink --resume {tmp_path / 'small'}, which completes the curve"
        in capsys.readouterr().err
    )
    found = resume_shrink(tmp_path / "small", QUIET)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "small")]
    assert weights[0] == weights[1]
    assert [step.top1 for step in found.steps] == [step.top1 for step in whole.steps]
    with pytest.raises(RunError, match=r"Cannot resume .*run: it is no run of inceptorch shrink"):
        resume_shrink(run, QUIET)
    (tmp_path / "small" / "cut" / "shrink.json").write_text("[{")
    with pytest.raises(RunError, match=r"shrink\.json is damaged"):
        resume_shrink(tmp_path / "small", QUIET)


@pytest.mark.usefixtures("no_nncf")
def test_what_is_broken_off_before_fine_tuning_leaves_nothing(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small"

    def interrupted(*args: object, **values: object) -> None:
        raise KeyboardInterrupt

    classifier_of(MIXED).save(tmp_path / "others")
    with pytest.raises(InceptorchError, match=r"Cannot learn from"):
        shrink(request(run, images, out, teacher=tmp_path / "others"), QUIET)
    assert not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr(module, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shrink(request(run, images, out), QUIET)
    assert not out.exists()


def test_what_cannot_be_shrunk_is_said_before_anything_is_written(
    run: Path, images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small"
    detector().save(tmp_path / "detector")
    with pytest.raises(RunError, match=r"Cannot shrink .*detector: it is a detector"):
        shrink(request(tmp_path / "detector", images, out), QUIET)
    write_classes(tmp_path / "other", 6)
    shutil.move(tmp_path / "other" / "red", tmp_path / "other" / "pink")
    with pytest.raises(DataError, match=r"their classes differ\. Train it on these images first: inceptorch train"):
        shrink(request(run, tmp_path / "other", out), QUIET)
    with pytest.raises(RunError, match=r"already holds files"):
        shrink(request(run, images, run), QUIET)
    with pytest.raises(RunError, match=r"lies inside the images"):
        shrink(request(run, images, images / "small"), QUIET)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(RunError, match=r"Cannot shrink in several processes"):
        shrink(request(run, images, out), QUIET)
    with pytest.raises(RunError, match=r"Cannot shrink in several processes"):
        resume_shrink(run, QUIET)
    assert not out.exists()


def test_validation_images_that_were_drawn_are_drawn_again(recipe: Recipe, tmp_path: Path) -> None:
    write_classes(tmp_path / "images", 8)
    inceptorch.train(tmp_path / "images", out=tmp_path / "run", recipe=recipe, seed=5, epochs=1, progress=QUIET)
    with pytest.raises(RunError, match=r"drew its validation images with seed 5\. Leave out --seed\."):
        shrink(request(tmp_path / "run", tmp_path / "images", tmp_path / "small", seed=4), QUIET)


def test_validation_images_are_those_of_a_run_of_the_classifier_alone(run: Path, images: Path, tmp_path: Path) -> None:
    recipe = RECIPES["head"].replace(val_fraction=0.4, folds=3)
    inceptorch.train(images / "train", weights=run, recipe=recipe, out=tmp_path / "head", progress=QUIET)
    found = module._recipe(tmp_path / "head", request(tmp_path / "head", images, tmp_path / "small"))
    assert (found.data.val_fraction, found.data.folds) == (0.4, 0)
    assert found.augmentation == RECIPES["finetune"].augmentation
