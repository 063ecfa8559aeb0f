"""YOLO's annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from inceptorch.data.resolve import open_splits
from tests.data.annotations.helpers import IMAGES, only_split, rows_of, write_yolo, write_yolo_data


def test_an_image_without_a_text_and_one_with_an_empty_text_are_background(tmp_path: Path) -> None:
    write_yolo_data(tmp_path)
    (tmp_path / "labels" / "a.txt").unlink()
    (tmp_path / "labels" / "b.txt").write_text("\n \n")
    (tmp_path / "labels" / "lost.txt").write_text("")
    split = only_split(tmp_path)
    assert {name: len(rows) for name, rows in rows_of(split).items()} == {"a": 0, "b": 0, "c": 0, "d": 2, "e": 3}
    assert [(Path(each.file).name, each.fault) for each in split.problems] == [("lost.txt", "has no image")]


def test_outlines_become_boxes(tmp_path: Path) -> None:
    write_yolo_data(tmp_path)
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.25 0.75 0.5 0.25 0.5\n0 0 0 1 0 1 1 0 1\n")
    split = only_split(tmp_path)
    assert rows_of(split)["a"] == [("cat", 16, 12, 48, 24), ("owl", 0, 0, 64, 48)]
    assert split.problems == ()


def test_classes_without_names_are_called_by_their_numbers(tmp_path: Path) -> None:
    write_yolo(tmp_path / "images", tmp_path / "labels")
    split = only_split(tmp_path)
    assert split.classes == ("0", "1", "2")
    assert [row[0] for row in rows_of(split)["a"]] == ["2", "1"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("names: [owl, cat, dog", "is not YAML"),
        ("names: dog\ntrain: images\n", "has no list of names"),
        ("names: {x: dog}\ntrain: images\n", "has no list of names"),
        ("names: {? " + "9" * 5000 + " : dog}\ntrain: images\n", "has no list of names"),
        ("names: &a [*a]\ntrain: images\n", "cannot be used: it refers to another part of itself"),
        ("[names, train]", "does not hold values by name"),
        ("names: [owl]\ntrain: images" + " " * 1_000_000, "has more than 1 MB"),
    ],
)
def test_a_broken_configuration_is_named(tmp_path: Path, text: str, fault: str) -> None:
    write_yolo_data(tmp_path)
    (tmp_path / "data.yaml").write_text(text)
    split = only_split(tmp_path)
    (problem,) = split.problems
    assert problem.file == str(tmp_path / "data.yaml")
    assert problem.fault.startswith(fault)
    assert problem.fault.endswith("classes are called by their numbers")
    assert split.classes == ("0", "1", "2")


def test_names_by_number_may_have_gaps(tmp_path: Path) -> None:
    write_yolo_data(tmp_path)
    (tmp_path / "data.yaml").write_text("train: images\nnames: {0: owl, 2: dog}\n")
    split = only_split(tmp_path)
    assert split.classes == ("owl", "dog")
    assert rows_of(split)["a"] == [IMAGES["a"][1][0]]
    assert {each.fault for each in split.problems} >= {"line 2 has no class"}


def test_several_folders_and_a_list_may_be_one_split(tmp_path: Path) -> None:
    write_yolo(tmp_path / "images" / "one", tmp_path / "labels" / "one")
    write_yolo(tmp_path / "images" / "two", tmp_path / "labels" / "two")
    (tmp_path / "list.txt").write_text("images/two/c.png\n")
    config = "train: [images/one, list.txt]\nval: C:\\data\\images\\two\ntest:\nnames: [owl, cat, dog]\n"
    (tmp_path / "data.yaml").write_text(config)
    splits = {name: read() for name, read in open_splits(tmp_path).items()}
    assert {name: len(split) for name, split in splits.items()} == {"train": 6, "val": 5}


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_yolo_data(tmp_path)
    (tmp_path / "train.txt").write_bytes(b"images/c.png\nimages/\xff.png\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: images\nnames: [owl, cat, dog]\n")
    splits = {name: read() for name, read in open_splits(tmp_path).items()}
    assert {name: len(split) for name, split in splits.items()} == {"train": 0, "val": 5}
    faults = [(Path(each.file).name, each.fault) for each in splits["train"].problems]  # type: ignore[attr-defined]
    assert faults == [("train.txt", "is not text in UTF-8; its images are left out")]
