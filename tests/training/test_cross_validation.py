"""The linear probe in folds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inceptorch
from inceptorch.errors import DataError, RecipeError, RunError
from inceptorch.tasks.metrics import wilson_interval
from inceptorch.training.cross_validation import _interval, read_cross_validation
from inceptorch.training.recipe import RECIPES, Recipe
from tests.helpers import invoke
from tests.training.helpers import QUIET


@pytest.fixture
def weights(images: Path, recipe: Recipe, tmp_path: Path) -> Path:
    return inceptorch.train(images, out=tmp_path / "weights", recipe=recipe.replace(epochs=1), progress=QUIET).run


def test_every_image_is_judged_once_by_a_fit_that_did_not_see_it(
    images: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inceptorch.training import cross_validation

    seen: list[tuple[int, int]] = []
    real = cross_validation._fitted

    def fitted(x: torch.Tensor, labels: torch.Tensor, context: Any, others: torch.Tensor) -> torch.Tensor:
        seen.append((len(x), len(others)))
        assert not any((x == other).all(1).any() for other in others)
        return real(x, labels, context, others)

    monkeypatch.setattr(cross_validation, "_fitted", fitted)
    head = RECIPES["head"].replace(folds=4)
    result = inceptorch.train(images, out=tmp_path / "run", weights=weights, recipe=head, progress=QUIET)
    found = result.cross_validation
    assert found is not None
    assert seen == [(36, 12)] * 4  # 12 training and 4 validation images of each of three classes
    assert (found.folds, found.n, found.groups, len(found.per_fold)) == (4, 48, None, 4)
    assert found.top1 == pytest.approx(np.mean(found.per_fold))
    assert found.top1_interval == wilson_interval(round(found.top1 * 48), 48)
    assert json.loads((result.run / "folds.json").read_text())["top1"] == found.top1
    assert f"top-1 {found.top1:.2%}" in invoke("train", "--resume", result.run).output
    assert "4 folds" in (result.run / "report.html").read_text()


def test_test_images_stay_apart_and_groups_together(images: Path, weights: Path, tmp_path: Path) -> None:
    (images / "val").rename(images / "test")
    words = ["--folds", 3, "--group-by", r"(\w+/\d)", "--out", tmp_path / "run", "--json"]
    done = invoke("train", images, "--weights", weights, *words)
    found = json.loads(done.stdout)["folds"]
    assert (found["n"], found["groups"], found["folds"]) == (36, 6, 3)
    assert inceptorch.load(tmp_path / "run").config.metadata.split is None


def test_the_validation_images_of_groups_are_found_again(images: Path, weights: Path, tmp_path: Path) -> None:
    words = ["--group-by", r"(\w+/\d)", "--out", tmp_path / "run"]
    result = invoke("train", images / "train", "--weights", weights, *words)
    assert result.exit_code == 0, result.output
    split = inceptorch.load(tmp_path / "run").config.metadata.split
    assert split is not None
    assert split["group_by"] == r"(\w+/\d)"
    evaluation = inceptorch.evaluate(tmp_path / "run", images / "train", progress=QUIET)
    assert f"{evaluation.n} images" in str(inceptorch.load(tmp_path / "run").config.metadata.validated_on)
    assert evaluation.n % 2 == 0  # files 00 to 09 and 10 to 11 of a class stay together
    assert evaluation.top1 == pytest.approx(inceptorch.load(tmp_path / "run").config.metadata.top1, abs=1e-5)


def test_validation_images_are_drawn_and_found_without_groups(images: Path, weights: Path, tmp_path: Path) -> None:
    result = invoke("train", images / "train", "--weights", weights, "--folds", 3, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "3 folds: top-1" in result.output
    evaluation = inceptorch.evaluate(tmp_path / "run", images / "train", progress=QUIET)
    assert evaluation.top1 == pytest.approx(inceptorch.load(tmp_path / "run").config.metadata.top1, abs=1e-5)


def test_what_cannot_be_divided_is_refused(images: Path, weights: Path, recipe: Recipe, tmp_path: Path) -> None:
    head = RECIPES["head"]
    with pytest.raises(RecipeError, match="Cannot train by recipe 'scratch' in folds"):
        recipe.replace(folds=5)
    for values, error, sentence in (
        ({"folds": 999}, RunError, "Cannot divide 48 images into 999 folds. Try a number from 2 to 48."),
        ({"folds": 1}, RunError, "Cannot divide 48 images into 1 folds"),
        ({"folds": 5, "group_by": "red|green|blue"}, RunError, "Cannot divide 3 groups into 5 folds"),
        ({"folds": 5, "group_by": "red"}, DataError, "does not match"),
    ):
        with pytest.raises(error, match=sentence):
            inceptorch.train(
                images, out=tmp_path / "run", weights=weights, recipe=head.replace(**values), progress=QUIET
            )


def test_images_of_one_group_widen_the_interval() -> None:
    right = np.repeat([True, True, True, False], 25)
    low, high = _interval(right, np.repeat(list("abcd"), 25), seed=0)
    alone = _interval(right, None, seed=0)
    assert low < alone[0] < 0.75 < alone[1] < high


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    assert read_cross_validation(tmp_path / "folds.json") is None
    for text in ("{", "[]", "{}"):
        (tmp_path / "folds.json").write_text(text)
        with pytest.raises(RunError, match=r"folds\.json"):
            read_cross_validation(tmp_path / "folds.json")
