"""Labels that a model doubts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import inceptorch
from inceptorch.checks import check
from inceptorch.checks.labels import doubtful
from inceptorch.errors import DataError
from inceptorch.training.recipe import Recipe
from tests.checks.helpers import QUIET
from tests.conftest import write_classes
from tests.helpers import invoke


def test_doubtful_labels_by_hand() -> None:
    # Class 0 is believed at 0.8 on average, class 1 at 0.6, class 2 has no images.
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.9, 0], [0.05, 0.85, 0.1], [0.85, 0.05, 0.1]]
    )
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert doubtful(probabilities, labels) == [(5, 0)]
    assert doubtful(probabilities[:5], labels[:5]) == []
    probabilities[2] = [0.2, 0.8, 0]
    assert doubtful(probabilities, labels) == [(5, 0), (2, 1)]
    # Class 0 is never believed much, so only less than that is little.
    assert doubtful(np.array([[0.45, 0.55], [0.35, 0.65], [0.5, 0.5]]), np.array([0, 0, 1])) == [(1, 1)]


@pytest.mark.slow
def test_a_model_doubts_the_label_that_was_changed(images: Path, recipe: Recipe, tmp_path: Path, home: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(epochs=8), progress=QUIET)
    shutil.move(images / "val" / "red" / "00.png", images / "val" / "blue" / "moved.png")
    result = invoke("check", images, "--model", tmp_path / "run", "--min-size", 8, "--no-near-duplicates", "--json")
    found = [one for one in json.loads(result.stdout)["findings"] if one["kind"] == "doubtful-label"]
    assert [one["files"] for one in found] == [[str(images / "val" / "blue" / "moved.png")]]
    assert "is labeled 'blue'" in found[0]["note"]
    assert "perhaps it is 'red'" in found[0]["note"]
    assert "memorized" in json.loads(result.stdout)["caveats"][0]
    assert result.exit_code == 0  # small classes and doubtful labels are warnings
    shutil.copytree(images / "val" / "red", images / "val" / "crimson")
    with pytest.raises(DataError, match="'crimson' that training did not have"):
        check(images, model=tmp_path / "run", progress=QUIET)


def test_the_model_that_drew_its_split_knows_what_it_was_trained_on(tmp_path: Path, recipe: Recipe, home: Path) -> None:
    write_classes(tmp_path / "all", 10)
    inceptorch.train(tmp_path / "all", out=tmp_path / "run", recipe=recipe, progress=QUIET)
    (caveat,) = check(tmp_path / "all", model=tmp_path / "run", min_size=0, progress=QUIET).caveats
    assert "trained on 24 of these images and evaluated on the other 6" in caveat
