"""`inceptorch check`."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest

from inceptorch.checks.images import MAX_MEGAPIXELS, MIN_SIZE
from inceptorch.cli import check as verb
from inceptorch.errors import DataError, RunError
from tests.checks.helpers import clean_folder
from tests.helpers import invoke


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return clean_folder(tmp_path / "clean")


def test_mistakes_are_said_and_exit_with_2(clean: Path, tmp_path: Path, home: Path) -> None:
    for words, error, sentence in [
        ((tmp_path / "nowhere",), DataError, "does not exist"),
        ((clean / "train" / "ash",), DataError, "has no class folders"),
        ((clean, "--out", tmp_path / "a.txt"), RunError, "must end in .html or .json"),
        ((clean, "--out", clean / "a.json"), RunError, "lies inside the images"),
    ]:
        result = invoke("check", *words)
        assert isinstance(result.exception, error)  # which `main` turns into a sentence and exit code 2
        assert sentence in str(result.exception)
    assert invoke("check").exit_code == 2
    assert not (clean / "a.json").exists()


def test_lines_for_the_terminal_name_the_first_of_each_kind(clean: Path, home: Path) -> None:
    for number in range(8):
        shutil.copy(clean / "train" / "ash" / "00.jpg", clean / "train" / "ash" / f"copy{number}.jpg")
        (clean / "train" / "elm" / f"b{number}\n.jpg").write_bytes(b"")
    lines = invoke("check", clean).stdout.splitlines()
    assert lines[0] == "error: unreadable, 8: images that cannot be read"
    assert lines[1].startswith(f"  {clean}/train/elm/b0\\n.jpg is empty")
    assert lines[6] == "  and 3 more"
    assert lines[10].endswith(" and 6 more: the same file, in train, as 'ash'")
    assert lines[-1] == "58 images (52 in train, 6 in val) of 3 classes. 8 errors, 1 warning: training is not safe."


def test_the_command_line_has_the_limits_of_python() -> None:
    defaults = {name: one.default for name, one in inspect.signature(verb.check).parameters.items()}
    assert (defaults["min_size"], defaults["max_megapixels"]) == (MIN_SIZE, MAX_MEGAPIXELS)
