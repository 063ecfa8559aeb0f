"""Options that several verbs share."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from inceptorch.cli import app
from tests.helpers import detector, invoke, sentence

NUMBERS = [
    (str(command.name), f"--{name.replace('_', '-')}")
    for command in app.registered_commands
    for name, hint in get_type_hints(command.callback).items()
    if float in (hint, *get_args(hint))
]


@pytest.mark.parametrize("verb", ["eval", "predict", "serve"])
def test_engines_are_chosen_by_the_same_options(verb: str) -> None:
    text = invoke(verb, "--help").stdout
    assert "--engine" in text
    assert "--precision" in text


@pytest.mark.parametrize(("verb", "option"), NUMBERS, ids=map("".join, NUMBERS))
def test_no_number_may_be_nan(
    verb: str,
    option: str,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    detector().save(tmp_path / "cells")
    model = [tmp_path / "cells"]
    words = {"predict": [*model, images], "check": [images], "train": [images], "shards": [images, tmp_path / "out"]}
    words["shrink"] = [*model, images]
    said = sentence(verb, *words.get(verb, model), option, "nan", monkeypatch=monkeypatch, capsys=capsys)
    assert "nan" in said or option in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells", "images"]


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "2"])
def test_a_threshold_is_a_fraction(
    value: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector().save(tmp_path / "cells")
    words = ("predict", tmp_path / "cells", images, "--min-confidence", value)
    assert "min-confidence" in sentence(*words, monkeypatch=monkeypatch, capsys=capsys)
