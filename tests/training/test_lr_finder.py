"""The learning-rate search."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.errors import RecipeError
from inceptorch.training import dry_run, find_lr
from inceptorch.training.recipe import Recipe
from tests.training.helpers import QUIET


def test_the_search_for_a_rate_finds_one_that_learns(images: Path, recipe: Recipe) -> None:
    found = find_lr(images, recipe=recipe, progress=QUIET)
    assert found.rates == sorted(found.rates)
    assert len(found.rates) == len(found.losses) > 30
    assert 1e-4 < found.suggested < 1
    assert min(found.losses) < 0.9 * found.losses[0]


def test_steps_cannot_be_tried_of_a_classifier_that_is_solved(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(epochs=1), progress=QUIET)
    with pytest.raises(RecipeError, match="Recipe 'head' trains the classifier alone, in no steps"):
        find_lr(images, weights=tmp_path / "run", progress=QUIET)
    done = dry_run(images, weights=tmp_path / "run", progress=QUIET)
    assert (done.epochs, done.epoch_seconds) == (0, None)
