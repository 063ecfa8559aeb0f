"""Sentences about command lines that cannot be read."""

import sys

import pytest

from inceptorch.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("predict --top 0 a b", "Cannot use --top: input should be greater than or equal to 1. Try {} predict --help."),
        ("predict --tpo 1 a b", "Cannot use --tpo: there is no such option. Try --out or --top."),
        ("train -q", "Cannot use -q: there is no such option. Try {} train --help."),
        ("predict a b --top", "Cannot use --top: option '--top' requires an argument. Try {} --help."),
        ("predict a", "Cannot run {} predict: PATH is missing. Try {} predict --help."),
        ("nets a b c", "Cannot run {} nets: got unexpected extra argument(s) (b c). Try {} nets --help."),
        ("trian a", "Cannot run {}: no such command 'trian'. Did you mean 'train'?"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = f"inceptorch: {said.replace('{}', 'inceptorch')}"
    monkeypatch.setattr(sys, "argv", ["inceptorch", *words.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"{expected}\n"


def test_without_words_the_help_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["inceptorch"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: inceptorch [OPTIONS] COMMAND")
