"""The command line as scripts rely on it: exit codes, sentences, and what it does not load."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inceptorch.cli import app
from inceptorch.errors import InceptorchError
from tests.conftest import write_classes
from tests.helpers import invoke, sentence


def test_tables_and_help_never_load_torch() -> None:
    check = """
import sys
from typer.testing import CliRunner
from inceptorch.cli import app
for words in (["--help"], ["nets"], ["nets", "googlenet"], ["nets", "googlenet", "--json"], ["train", "--help"],
              ["train", "x", "--print-config"]):
    assert CliRunner().invoke(app, words).exit_code == 0, words
loaded = {"torch", "torchvision", "matplotlib", "sklearn"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", [command.name for command in app.registered_commands])
def test_every_verb_has_help_and_a_place_in_the_readme(verb: str) -> None:
    result = invoke(verb, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()[2].strip()) > 20
    assert f"inceptorch {verb}" in (Path(__file__).parents[2] / "README.md").read_text()


def test_mistakes_are_one_sentence_and_exit_code_2(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        return sentence(*words, monkeypatch=monkeypatch, capsys=capsys)

    assert "does not exist; name a run or a bundle" in said("predict", tmp_path / "none", "a.jpg")
    assert "is a file, not a folder" in said("predict", run / "config.json", "a.jpg")
    assert "no network 'googlnet': did you mean 'googlenet'" in said("nets", "googlnet")
    assert "does not exist" in said("train", tmp_path / "none")
    assert "already holds files" in said("train", images, "--out", run)
    assert "not both" in said("train", images, "-c", "a.yaml", "--recipe", "head")
    assert "Leave out all other options" in said("train", images, "--resume", run)
    assert "Leave out all other options" in said("train", "--epochs", 9, "--resume", run)
    assert "not both" in said("train", images, "--epochs", 3, "--set", "epochs=4")
    assert "did you mean 'googlenet'" in said("train", images, "--net", "goglenet", "--print-config")
    assert "Name the DATA" in said("train")
    assert "did you mean 'epochs'" in said("train", images, "--set", "epoch=3")
    assert "give it as --seed 5" in said("train", images, "--set", "seed=5")
    assert "too small for tiny" in said("train", images, "--net", "tiny", "--size", 4, "--out", tmp_path / "x")
    write_classes(tmp_path / "other", 1)
    shutil.move(tmp_path / "other" / "red", tmp_path / "other" / "crimson")
    assert "class folder 'crimson' that training did not have" in said("eval", run, tmp_path / "other")
    assert "model.pth does not exist" in said("convert", tmp_path / "model.pth", "--out", tmp_path / "y")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "num_classes": 4}))
    assert "num_classes is 4, but label_names has 3" in said("predict", run, "a.jpg")
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "y").exists()


def test_unknown_options_are_a_usage_error() -> None:
    assert invoke("train", "--learning-rate", "3").exit_code == 2
    assert invoke("predict", "model").exit_code == 2


def test_errors_are_exceptions_in_python() -> None:
    import inceptorch

    with pytest.raises(InceptorchError):
        inceptorch.load("nowhere")
    with pytest.raises(AttributeError):
        inceptorch.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_public_names_are_all_there() -> None:
    import inceptorch

    for name in inceptorch.__all__:
        assert getattr(inceptorch, name).__name__
    assert inceptorch.cost("googlenet", size=299).size == 299
    assert inceptorch.get_network("googlenet").aux == ("4a", "4d")


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (("predict", "run", "a.jpg", "--unknown"), "Cannot use --unknown: it was renamed. Try --reject."),
        (
            ("predict", "run", "a.jpg", "--unknown-below=0.5"),
            "Cannot use --unknown-below: it was renamed. Try --min-confidence.",
        ),
        (("eval", "run", "data", "--table"), "Cannot use --table: it was renamed. Try --compare."),
        (("check", "data", "--no-near"), "Cannot use --no-near: it was renamed. Try --no-near-duplicates."),
    ],
)
def test_an_option_of_before_names_the_new_one(
    words: tuple[str, ...], new: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence(*words, monkeypatch=monkeypatch, capsys=capsys) == f"inceptorch: {new}"
