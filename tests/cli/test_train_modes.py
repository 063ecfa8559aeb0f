"""Options of `inceptorch train`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from inceptorch.errors import RecipeError, RunError
from inceptorch.networks.serialization import to_yaml
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import Progress
from tests.training.helpers import PLAIN, RECIPE


@pytest.fixture
def words(tmp_path: Path, images: Path) -> list[object]:
    """The words of a run of thirty epochs of five steps."""
    (tmp_path / "plain.yaml").write_text(to_yaml(PLAIN))
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(net=str(tmp_path / "plain.yaml")).to_yaml())
    return [images, "-c", tmp_path / "recipe.yaml", "--net", tmp_path / "plain.yaml"]


def test_lr_find_from_the_shell(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    words = ["train", str(images), "-c", str(tmp_path / "r.yaml"), "--lr-find", "--out", str(tmp_path / "found")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert set(answer) == {"suggested", "rates", "losses", "image"}
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["lr_find.png"]


@pytest.mark.parametrize(
    ("two", "sentence"),
    [
        (("--lr-find", "--fast-dev-run"), "Cannot combine --lr-find and --fast-dev-run"),
        (("--fast-dev-run", "--out=x"), "Try --fast-dev-run without --out."),
    ],
)
def test_trials_that_exclude_each_other(images: Path, two: tuple[str, str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["train", str(images), *two])
    assert isinstance(done.exception, RunError)
    assert sentence in str(done.exception)


def test_measuring_is_no_more(images: Path) -> None:
    done = CliRunner().invoke(app, ["train", str(images), "--measure"])
    assert isinstance(done.exception, RunError)
    assert "--measure was removed. Try --set precision=fp32" in str(done.exception)


def config(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["train", *map(str, words), "--print-config"])
    assert done.exit_code == 0, done.exception
    printed: dict[str, Any] = yaml.safe_load(done.stdout)
    return printed


def test_the_recipe_follows_from_weights_and_epochs() -> None:
    given = ("--weights", "googlenet.bvlc")
    names = {
        (): "scratch", ("--epochs", 3): "scratch", given: "head", (*given, "--epochs", 0): "head",
        (*given, "--epochs", 3): "finetune", (*given, "--set", "epochs=3"): "finetune",
        (*given, "--epochs", 3, "--recipe", "scratch"): "scratch",
    }  # fmt: skip
    assert {words: config("DATA", *words)["name"] for words in names} == names


def test_batch_size_rate_and_size_have_options_of_their_own() -> None:
    printed = config("DATA", "--batch-size", 48, "--lr", 0.125, "--size", 96)
    assert (printed["optimization"]["batch_size"], printed["optimization"]["lr"]) == (48, 0.125)
    assert printed["model"]["size"] == 96
    for words in (("--batch-size", "8", "--set", "batch_size=8"), ("--lr", "1", "--set", "optimization.lr=1")):
        done = CliRunner().invoke(app, ["train", "DATA", *words])
        assert isinstance(done.exception, RecipeError)
        assert re.search(r"Give --(batch-size|lr) or --set (batch_size|lr)=\.\.\., not both", str(done.exception))


def test_only_workers_may_change_at_resume(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inceptorch.train(images, out=run, recipe=recipe.replace(epochs=1), progress=Progress(quiet=True))
    done = CliRunner().invoke(app, ["train", "--resume", str(run), "--epochs", "5"])
    assert isinstance(done.exception, RunError)
    assert "Leave out all other options but --workers" in str(done.exception)
    words = ["train", str(images), "--resume", str(run), "--workers", "2", "--json"]
    assert CliRunner().invoke(app, words).exit_code == 0
