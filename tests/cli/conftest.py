"""Fixtures of these tests."""

import json
from pathlib import Path

import pytest

from inceptorch.training.recipe import Recipe
from tests.helpers import invoke


@pytest.fixture
def run(images: Path, recipe: Recipe, tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    result = invoke("train", images, "-c", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--epochs", 8, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert set(answer) == {"run", "epochs", "top1", "top5", "seconds"}
    assert (answer["run"], answer["epochs"]) == (str(tmp_path / "run"), 8)
    return tmp_path / "run"
