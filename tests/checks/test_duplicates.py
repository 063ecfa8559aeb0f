"""The same image twice in a class, across classes, and across splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from inceptorch.checks import page
from inceptorch.checks.check import check
from synthetic import compressed
from tests.checks.helpers import QUIET


def test_nearly_the_same_image_under_two_labels_is_a_warning_that_names_one_of_each(clean: Path, home: Path) -> None:
    original = clean / "train" / "ash" / "00.jpg"
    with Image.open(original) as image:
        for number in range(9):
            compressed(image, 50 + number).save(clean / "train" / "ash" / f"near{number}.png")
        compressed(image, 40).save(clean / "train" / "oak" / "near.png")
    findings = check(clean, progress=QUIET)
    (found,) = findings.items
    assert (found.kind, found.severity, findings.safe) == ("near-duplicates-across-classes", "warning", True)
    assert len(found.files) == 11
    assert found.files[:2] == (str(original), str(clean / "train" / "oak" / "near.png"))
    line = next(line for line in page.lines(findings) if "near.png" in line)
    assert line.endswith("and 8 more: similarity " + found.note.removeprefix("similarity "))


def test_a_list_is_never_cut_before_one_image_of_each_class(clean: Path, home: Path) -> None:
    original = clean / "train" / "ash" / "00.jpg"
    names = [f"class{number}" for number in range(10)]
    for name in names:
        (clean / "train" / name).mkdir()
        shutil.copy(original, clean / "train" / name / "copy.jpg")
    findings = check(clean, progress=QUIET)
    found = next(each for each in findings.items if each.kind == "duplicates-across-classes")
    line = next(line for line in page.lines(findings) if str(original) in line)
    shown = page.html(findings).partition("<details")[0]
    for file in found.files:
        assert file in line
        assert shown.count(f'alt="{file}"') == 1


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
