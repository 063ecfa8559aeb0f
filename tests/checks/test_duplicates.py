"""The same image twice in a class, across classes, and across splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inceptorch.checks.check import check
from tests.checks.helpers import QUIET


@pytest.mark.parametrize(
    ("copy", "kinds", "note"),
    [
        ("train/ash/copy.jpg", {"duplicates"}, "the same file, in train, as 'ash'"),
        ("val/ash/copy.jpg", {"duplicates-across-splits"}, "the same file, in train and val, as 'ash'"),
        ("train/elm/copy.jpg", {"duplicates-across-classes"}, "the same file, in train, as 'ash' and 'elm'"),
        (
            "val/elm/copy.jpg",
            {"duplicates-across-splits", "duplicates-across-classes"},
            "the same file, in train and val, as 'ash' and 'elm'",
        ),
    ],
)
def test_a_copy_is_reported_by_where_it_lies(clean: Path, home: Path, copy: str, kinds: set[str], note: str) -> None:
    original = clean / "train" / "ash" / "00.jpg"
    shutil.copy(original, clean / copy)
    findings = check(clean, progress=QUIET).items
    assert {each.kind for each in findings} == kinds
    for each in findings:
        assert set(each.files) == {str(original), str(clean / copy)}
        assert each.note == note
        assert len(each.indices) == 2
