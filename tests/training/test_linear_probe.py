"""The linear probe against another library."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import inceptorch
from inceptorch.training.recipe import RECIPES, Recipe, with_values
from tests.training.helpers import QUIET


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
    assert evaluation.loss == pytest.approx(result.evaluation.loss, abs=1e-4)

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

    from inceptorch.training.linear_probe import fit

    torch.manual_seed(0)
    features = torch.randn(60, 8)
    labels = (features[:, 0] + features[:, 1] > 0).long() + (features[:, 2] > 0.5).long()
    recipe = RECIPES["head"].replace(label_smoothing=0.0)
    *_, last = fit(features, labels, 3, recipe)
    x = ((features - features.mean(0)) / features.std()).numpy()
    theirs = LogisticRegression(C=1 / (2 * 60 * recipe.optimization.linear_probe_l2), tol=1e-8, max_iter=1000).fit(
        x, labels.numpy()
    )
    mine = (features @ last.weight.T + last.bias).softmax(1).numpy()
    np.testing.assert_allclose(mine, theirs.predict_proba(x), atol=2e-3)
