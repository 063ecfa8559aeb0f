"""Options of `inceptorch train`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inceptorch.cli import app
from inceptorch.errors import RunError
from inceptorch.networks.serialization import to_yaml
from inceptorch.training.recipe import Recipe
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
