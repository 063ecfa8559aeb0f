"""The command line as scripts rely on it: exit codes, sentences, and what it does not load."""

import contextlib
import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inceptorch import cli
from inceptorch.classifier import Classifier
from inceptorch.cli import app
from inceptorch.errors import InceptorchError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from tests.conftest import TINY, write_classes
from tests.helpers import invoke, sentence


def test_tables_and_help_never_load_torch() -> None:
    check = """
import sys
from typer.testing import CliRunner
from inceptorch.cli import app
for words in (["--help"], ["nets"], ["nets", "googlenet"], ["nets", "googlenet", "--json"], ["train", "--help"],
              ["train", "x", "--weights", "googlenet.bvlc", "--print-config"]):
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

    assert "it does not exist. Name a run or a bundle" in said("predict", tmp_path / "none", "a.jpg")
    assert "is a file, not a folder" in said("predict", run / "config.json", "a.jpg")
    assert "no network 'googlnet': did you mean 'googlenet'" in said("nets", "googlnet")
    assert "does not exist" in said("train", tmp_path / "none")
    assert "already holds files" in said("train", images, "--out", run)
    assert "not both" in said("train", images, "-c", "a.yaml", "--recipe", "head")
    assert "Start a new run for other data" in said("train", tmp_path, "--resume", run)
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
    assert "model.pth: it does not exist" in said("convert", tmp_path / "model.pth", "--out", tmp_path / "y")
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


def fails(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_turns_into_an_error_ends_as_the_signal(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises_its_own(*_: object, **__: object) -> None:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            signal.raise_signal(number)
        raise ValueError("could not determine the shape")

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(cli, "app", raises_its_own)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which tests in the background do not have
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert stop.value.code == code
    assert capsys.readouterr().err == "inceptorch: stopped, with ValueError: could not determine the shape\n"


def test_an_unexpected_error_is_one_line_that_says_where_the_traceback_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["inceptorch", "predict", "a b"])
    monkeypatch.setattr(cli, "app", lambda *_, **__: fails(ValueError("one\ntwo")))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "Unexpected error: ValueError: one. Please report it" in line
    (file,) = tmp_path.iterdir()
    assert line.endswith(f"the traceback, which is in {file}.")
    kept = file.read_text()
    assert "['inceptorch', 'predict', 'a b']" in kept
    assert kept.endswith("ValueError: one\ntwo\n")
    assert "in fails" in kept


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "Cannot go on: there is not enough memory."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GB"), "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "Cannot write the output: no space left on device."),
        (OSError(errno.ENAMETOOLONG, "File name too long", "aaa"), "Cannot use aaa: file name too long. Name another."),
        (ModuleNotFoundError(name="onnx"), "pip install 'inceptorch[export]'"),
    ],
)
def test_lacks_of_the_machine_are_a_sentence(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", lambda *_, **__: fails(error))
    assert said in sentence("nets", monkeypatch=monkeypatch, capsys=capsys)


def run_with(stdout: int, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inceptorch", *map(str, words)], stdout=stdout, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("nets",), ("nets", "googlenet", "--json")])
def test_a_full_disk_behind_standard_output_is_a_sentence(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = run_with(full.fileno(), *words)
    assert done.stderr == "inceptorch: Cannot write the output: no space left on device.\n"
    assert done.returncode == 2


def test_closed_standard_output_is_a_sentence() -> None:
    command = f"{shlex.quote(sys.executable)} -m inceptorch nets >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    sentence = "inceptorch: Cannot write the output: standard output is closed. Try > /dev/null.\n"
    assert (done.returncode, done.stderr) == (2, sentence)


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = run_with(theirs, "nets")
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")


def test_letters_that_a_terminal_lacks_become_escapes(tmp_path: Path) -> None:
    labels = ["Z\u00fcrich", "\U0001f33b", "plain"]
    Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), labels).save(tmp_path / "bundle")
    write_classes(tmp_path / "images", 1)
    image = tmp_path / "images" / "red" / "00.png"
    done = run_with(subprocess.PIPE, "predict", tmp_path / "bundle", image, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Z\\xfcrich" in done.stdout
    done = run_with(subprocess.PIPE, "predict", tmp_path / "bundle", image, "--json", PYTHONIOENCODING="ascii")
    assert {one["label"] for one in json.loads(done.stdout)[0]["predictions"]} == set(labels)
