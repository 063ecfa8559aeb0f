"""The linear probe against another library."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inceptorch
from inceptorch.models.weights import read_safetensors
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training import linear_probe
from inceptorch.training.linear_probe import choose_l2, compute_features, fit, fit_linear_probe
from inceptorch.training.recipe import RECIPES, Recipe, with_values
from inceptorch.training.setup import TrainRequest, temporary_run
from inceptorch.utils.progress import Progress
from tests.helpers import by_classes
from tests.training.helpers import CPU, QUIET, digest


def test_head_is_fitted_on_the_frozen_body_and_finetune_goes_on_from_it(
    images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    inceptorch.train(images, out=tmp_path / "scratch", recipe=recipe, progress=QUIET)
    weights = tmp_path / "scratch"
    head = with_values(recipe, {"linear_probe_steps": 30, "epochs": 0})
    result = inceptorch.train(images, out=tmp_path / "head", weights=weights, recipe=head, progress=QUIET)
    before, after = inceptorch.load(weights).model.state_dict(), inceptorch.load(tmp_path / "head").model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.linear.weight", "head.linear.bias"}
    assert not (tmp_path / "head" / "checkpoints" / "features.safetensors").exists()
    # What the cached features promised is what the whole network answers.
    evaluation = inceptorch.evaluate(tmp_path / "head", images, progress=QUIET)
    assert evaluation.top1 == result.top1
    assert evaluation.loss == pytest.approx(by_classes(result).loss, abs=1e-4)

    finetune = with_values(recipe, {"linear_probe_steps": 30, "epochs": 2})
    tuned = inceptorch.train(images, out=tmp_path / "tuned", weights=weights, recipe=finetune, progress=QUIET)
    with open(tuned.run / "metrics.csv", newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert phases[0] == "head"
    assert phases[-2:] == ["train", "train"]
    tuned_weights = inceptorch.load(tuned.run).model.state_dict()
    assert not torch.equal(tuned_weights["body.conv1.conv.weight"], before["body.conv1.conv.weight"])


def test_head_fit_equals_logistic_regression_by_another_library() -> None:
    from sklearn.linear_model import LogisticRegression

    torch.manual_seed(0)
    features = torch.randn(60, 8)
    labels = (features[:, 0] + features[:, 1] > 0).long() + (features[:, 2] > 0.5).long()
    recipe = RECIPES["head"].replace(label_smoothing=0.0, linear_probe_l2=0.01)
    *_, last = fit(features, labels, 3, recipe)
    x = ((features - features.mean(0)) / features.std()).numpy()
    theirs = LogisticRegression(C=1 / (2 * 60 * 0.01), tol=1e-8, max_iter=1000).fit(x, labels.numpy())
    mine = (features @ last.weight.T + last.bias).softmax(1).numpy()
    np.testing.assert_allclose(mine, theirs.predict_proba(x), atol=2e-3)


def noisy(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of which few say anything of the class."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 60, generator=random)
    labels = (features[:, 0] + torch.randn(count, generator=random) > 0).long()
    return features, labels


def test_the_l2_with_the_lowest_loss_on_images_left_out_is_chosen() -> None:
    features, labels = noisy(80, 0)
    new, truth = noisy(4000, 1)
    recipe = RECIPES["head"].replace(label_smoothing=0.0)

    def loss(l2: float) -> float:
        *_, last = fit(features, labels, 2, recipe.replace(linear_probe_l2=l2))
        return float(torch.nn.functional.cross_entropy(new @ last.weight.T + last.bias, truth))

    chosen = choose_l2(features, labels, 2, recipe, seed=0)
    assert chosen == choose_l2(features, labels, 2, recipe, seed=0) > 0.01
    assert loss(chosen) < loss(0.01)
    clean = choose_l2(features, (features[:, 0] > 0).long(), 2, recipe, seed=0)
    assert clean < chosen


def test_head_chooses_its_l2_unless_it_is_set(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inceptorch.train(images, out=tmp_path / "given", recipe=recipe.replace(epochs=1), progress=QUIET)
    assert RECIPES["head"].optimization.linear_probe_l2 == "auto"
    inceptorch.train(images, out=tmp_path / "chosen", weights=tmp_path / "given", recipe="head")
    assert "in cross-validation" in capsys.readouterr().err
    fixed = RECIPES["head"].replace(linear_probe_l2=0.01)
    inceptorch.train(images, out=tmp_path / "fixed", weights=tmp_path / "given", recipe=fixed)
    assert "in cross-validation" not in capsys.readouterr().err


def test_features_of_an_interrupted_run_are_read_once_and_damaged_ones_computed_again(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inceptorch.train(images, out=tmp_path / "given", recipe=recipe.replace(epochs=1), progress=QUIET)
    words = {"weights": tmp_path / "given", "recipe": "head", "progress": QUIET}
    inceptorch.train(images, out=tmp_path / "whole", **words)  # type: ignore[arg-type]

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(linear_probe, "choose_l2", killed)
        with pytest.raises(KeyboardInterrupt):
            inceptorch.train(images, out=tmp_path / "run", **words)  # type: ignore[arg-type]
    file = tmp_path / "run" / "checkpoints" / "features.safetensors"
    shutil.copytree(tmp_path / "run", tmp_path / "damaged")
    read: list[Path] = []

    def reading(path: Path) -> dict[str, torch.Tensor]:
        read.append(path)
        return read_safetensors(path)

    with monkeypatch.context() as patch:
        patch.setattr(linear_probe, "read_safetensors", reading)
        inceptorch.resume(tmp_path / "run", QUIET)
    assert read == [file]
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")

    file = tmp_path / "damaged" / "checkpoints" / "features.safetensors"
    data = bytearray(file.read_bytes())
    data[-2] ^= 0x40
    file.write_bytes(data)
    inceptorch.resume(tmp_path / "damaged", QUIET)
    assert digest(tmp_path / "damaged") == digest(tmp_path / "whole")


class Follower(DistributedContext):
    """A process that is told what the main one has found: no features on the disk, and this L2."""

    def run_on_main(self, value: Callable[[], Any]) -> Any:
        return 0.25 if "choose_l2" in value.__code__.co_names else False


def test_the_l2_is_chosen_by_the_main_process_alone(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = inceptorch.train(images, out=tmp_path / "given", recipe=recipe.replace(epochs=1), progress=QUIET).run
    with temporary_run(TrainRequest(images, weights=given, recipe="head"), QUIET, needs_steps=False) as (context, _):
        context.run.checkpoint.parent.mkdir(parents=True)
        world = Follower(0, 1, CPU)
        list(fit_linear_probe(context, compute_features(context, world, Progress()), world, Progress()))
    assert "linear_probe_l2=0.25 has the lowest loss" in capsys.readouterr().err
