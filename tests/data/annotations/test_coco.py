"""COCO's annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inceptorch.data.annotations import coco as module
from tests.data.annotations.helpers import IMAGES, coco, only_split, rows_of, write_coco, write_image


def written(root: Path, values: dict[str, Any]) -> Path:
    write_coco(root)
    (root / "annotations" / "instances.json").write_text(json.dumps(values))
    return root


def test_crowds_are_marked(tmp_path: Path) -> None:
    values = coco()
    values["annotations"][1] |= {"iscrowd": 1, "segmentation": {"counts": [1, 2], "size": [4, 5]}}
    assert only_split(written(tmp_path, values)).boxes[0].crowd.tolist() == [False, True]


def test_a_category_that_only_others_belong_to_is_no_class(tmp_path: Path) -> None:
    """Some exports list first what all the others are."""
    values = coco()
    values["categories"].insert(0, {"id": 0, "name": "animal", "supercategory": "none"})
    values["categories"].append({"id": 5, "name": "fox", "supercategory": "animal"})
    split = only_split(written(tmp_path, values))
    assert split.classes == ("owl", "dog", "cat", "fox")
    assert split.counts()["fox"] == 0


def test_ids_may_be_text_and_file_names_have_folders(tmp_path: Path) -> None:
    values = json.loads(json.dumps(coco()))
    for kind, keys in (("images", ["id"]), ("annotations", ["image_id", "category_id"]), ("categories", ["id"])):
        for each in values[kind]:
            each.update({key: f"id {each[key]}" for key in keys})
    for each in values["images"]:
        each["file_name"] = f"some\\where/{each['file_name']}"
    assert rows_of(only_split(written(tmp_path, values))) == {name: rows for name, (_, rows) in IMAGES.items()}


def test_images_that_are_not_listed_are_left_out(tmp_path: Path) -> None:
    root = written(tmp_path, coco())
    write_image(root / "images" / "more.png", (20, 10))
    split = only_split(root)
    assert sorted(rows_of(split)) == sorted(IMAGES)
    assert [(Path(each.file).name, each.kind, each.lost) for each in split.problems] == [
        ("more.png", "missing-annotation", "image")
    ]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    write_coco(tmp_path)
    file = tmp_path / "annotations" / "instances.json"
    for encoding in ("utf-8-sig", "utf-16"):
        file.write_text(json.dumps(coco()), encoding=encoding)
        assert len(only_split(tmp_path)) == 5


def test_a_file_is_read_up_to_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_coco(tmp_path)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    assert [each.fault for each in only_split(tmp_path).problems] == ["has more than 0.001 MB"]
