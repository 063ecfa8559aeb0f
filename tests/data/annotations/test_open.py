"""Formats are recognized by what lies there, and say the same in all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inceptorch.data import BoxSplit, find_split, find_train_and_val
from inceptorch.data.resolve import open_splits
from inceptorch.errors import DataError
from tests.conftest import SHARED, write_classes
from tests.data.annotations.helpers import (
    CLASSES,
    IMAGES,
    WRITERS,
    coco,
    only_split,
    rows_of,
    table,
    write_images,
    write_table,
    write_voc,
    write_xml,
    write_yolo,
    xml,
)
from tests.data.conftest import zipped

EXPECTED = {name: rows for name, (_, rows) in IMAGES.items()}
ORDER = {"voc": CLASSES, "table": CLASSES, "coco": ("owl", "dog", "cat"), "yolo": ("owl", "cat", "dog")}


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("format", WRITERS)
def test_every_format_gives_the_same_boxes(tmp_path: Path, format: str, archived: bool) -> None:
    root = WRITERS[format](tmp_path / "data")
    split = only_split(zipped(root, tmp_path / "data.zip", pattern="*.*") if archived else root)
    assert rows_of(split) == EXPECTED
    assert split.classes == ORDER[format]
    assert split.sizes.tolist() == [list(size) for size, _ in IMAGES.values()]
    assert split.problems == ()
    assert split.labels.tolist() == [0] * 5
    assert split.counts() == {name: {"cat": 4, "dog": 2, "owl": 2}[name] for name in split.classes}


def voc_with_sets(root: Path) -> None:
    write_voc(root / "BCCD")
    (root / "LICENSE").touch()
    sets = root / "BCCD" / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\nb.png\nc  1\n")
    (sets / "test.txt").write_text("d\r\ne\r\n")
    (sets / "trainval.txt").write_text("a\nb\nc\nd\n")


def xml_beside(root: Path) -> None:
    for split, names in (("train", "abc"), ("test", "de")):
        write_images(root / split)
        write_xml(root / split)
        for path in (root / split).iterdir():
            if path.stem not in names:
                path.unlink()


def xml_in_folders_of_splits(root: Path) -> None:
    xml_beside(root)
    for split in ("train", "test"):
        for name, suffix in (("images", ".png"), ("annots", ".xml")):
            (root / split / name).mkdir()
            for path in (root / split).glob(f"*{suffix}"):
                path.rename(root / split / name / path.name)


def coco_files(root: Path, paths: dict[str, str]) -> None:
    for split, path in paths.items():
        names = {"train": "abc", "test": "de"}[split]
        values = coco()
        values["images"] = [each for each in values["images"] if each["file_name"][0] in names]
        ids = {each["id"] for each in values["images"]}
        values["annotations"] = [each for each in values["annotations"] if each["image_id"] in ids]
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(json.dumps(values))


def coco_official(root: Path) -> None:
    coco_files(root, {split: f"annotations/instances_{split}2017.json" for split in ("train", "test")})
    (root / "annotations" / "captions_train2017.json").write_text(json.dumps({"images": [], "annotations": []}))
    for split, names in (("train2017", "abc"), ("test2017", "de")):
        write_images(root / split)
        for path in (root / split).iterdir():
            if path.stem not in names:
                path.unlink()


def coco_roboflow(root: Path) -> None:
    xml_beside(root)
    for path in root.rglob("*.xml"):
        path.unlink()
    coco_files(root, {split: f"{split}/_annotations.coco.json" for split in ("train", "test")})


def yolo_by_kind(root: Path, config: str = "path: /nowhere\ntrain: images/train\ntest: images/test\n") -> None:
    for split, names in (("train", "abc"), ("test", "de")):
        write_yolo(root / "images" / split, root / "labels" / split)
        for path in [*(root / "images" / split).iterdir(), *(root / "labels" / split).iterdir()]:
            if path.stem not in names:
                path.unlink()
    (root / "data.yaml").write_text(f"{config}names:\n  0: owl\n  1: cat\n  2: dog\n")


def yolo_by_split(root: Path) -> None:
    yolo_by_kind(root, "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n")
    for split in ("train", "test"):
        for kind in ("images", "labels"):
            (root / split).mkdir(exist_ok=True)
            (root / kind / split).rename(root / split / kind)


def yolo_lists(root: Path) -> None:
    write_yolo(root / "images", root / "labels")
    (root / "train.txt").write_text("".join(f"/home/me/images/{name}.png\n" for name in "abc"))
    (root / "test.txt").write_text("".join(f"./images/{name}.png\n" for name in "de"))
    (root / "data.yaml").write_text("train: train.txt\ntest: test.txt\nnames: [owl, cat, dog]\n")


def yolo_in_one_folder(root: Path) -> None:
    for split, names in (("train", "abc"), ("test", "de")):
        write_yolo(root / split, root / split)
        for path in (root / split).iterdir():
            if path.stem not in names:
                path.unlink()
        (root / split / "classes.txt").write_text("owl\ncat\ndog\n")


def tables_beside(root: Path) -> None:
    coco_roboflow(root)
    header, *lines = table("image_path,image_width,image_height,label,x1,y1,x2,y2").splitlines()
    for split, names in (("train", "abc"), ("test", "de")):
        (root / split / "_annotations.coco.json").unlink()
        own = [line for line in lines if line[0] in names]
        (root / f"{split}_labels.csv").write_text("\n".join([header, *own]))


def table_with_splits(root: Path) -> None:
    write_table(root)
    header, *lines = table().splitlines()
    rows = [f"{header},split", *(f"{line},{'train' if line[0] in 'abc' else 'TEST'}" for line in lines)]
    (root / "boxes.csv").write_text("\n".join(rows), encoding="utf-16")


@pytest.mark.parametrize(
    "write",
    [
        voc_with_sets,
        xml_beside,
        xml_in_folders_of_splits,
        coco_official,
        coco_roboflow,
        yolo_by_kind,
        yolo_by_split,
        yolo_lists,
        yolo_in_one_folder,
        tables_beside,
        table_with_splits,
    ],
)
@pytest.mark.parametrize("archived", [False, True])
def test_splits_are_found_in_every_layout(tmp_path: Path, write: object, archived: bool) -> None:
    root = tmp_path / "data"
    write(root)  # type: ignore[operator]
    data = zipped(root, tmp_path / "data.zip", pattern="*.*") if archived else root
    splits = {name: read() for name, read in open_splits(data).items()}
    assert set(splits) == {"train", "test"}
    assert [split.problems for split in splits.values()] == [(), ()]  # type: ignore[attr-defined]
    train, test = find_train_and_val(data, 0.2, 0)
    assert isinstance(train, BoxSplit)
    assert isinstance(test, BoxSplit)
    assert train.classes == test.classes
    assert set(train.classes) == set(CLASSES)
    assert rows_of(train) | rows_of(test) == EXPECTED
    assert sorted(rows_of(train)) == ["a", "b", "c"]


def test_one_folder_is_divided_by_the_seed(tmp_path: Path) -> None:
    write_images(tmp_path)
    write_xml(tmp_path)
    (tmp_path / "lost.xml").write_text(xml("lost", (20, 10), []))
    train, val = find_train_and_val(tmp_path, 0.4, 0)
    assert isinstance(train, BoxSplit)
    assert isinstance(val, BoxSplit)
    assert (len(train), len(val), len(val.boxes), len(val.sizes)) == (3, 2, 2, 2)
    assert rows_of(train) | rows_of(val) == EXPECTED
    assert (len(train.problems), len(val.problems)) == (1, 0)  # of the whole, said once
    assert list(find_train_and_val(tmp_path, 0.4, 0)[1].paths) == list(val.paths)
    drawn = {tuple(find_train_and_val(tmp_path, 0.4, seed)[1].paths) for seed in range(9)}
    assert len(drawn) > 3


@pytest.mark.parametrize(("format", "name"), [("coco", "annotations/instances.json"), ("table", "boxes.csv")])
@pytest.mark.parametrize("file", [True, False])
def test_the_file_of_annotations_may_be_data(tmp_path: Path, format: str, name: str, file: bool) -> None:
    root = WRITERS[format](tmp_path / "data")
    assert rows_of(only_split(root / name if file else root)) == EXPECTED


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("annotations/instances_val2017.json", "val"),
        ("train/_annotations.coco.json", "train"),
        ("annotations/boxes.json", ""),
    ],
)
def test_a_file_of_coco_as_data_is_the_split_that_it_is_named_for(tmp_path: Path, name: str, split: str) -> None:
    write_images(tmp_path / (split or "images"))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(json.dumps(coco()))
    assert list(open_splits(tmp_path / name)) == [split]
    assert rows_of(only_split(tmp_path / name)) == EXPECTED


def test_the_configuration_may_be_data(tmp_path: Path) -> None:
    yolo_by_kind(tmp_path)
    assert set(open_splits(tmp_path / "data.yaml")) == {"train", "test"}


def test_class_folders_with_other_files_are_no_boxes(images: Path) -> None:
    (images / "train" / "red" / "00.xml").write_text(xml("00", (24, 20), []))
    (images / "train" / "red" / "00.txt").write_text("a caption")
    (images / "readme.xml").write_text("<annotation/>")
    (images / "labels.csv").write_text("path,label\ntrain/red/00.png,red\n")
    # The list of iNaturalist's competition, beside its class folders.
    listed = {"images": [], "annotations": [{"image_id": 1, "category_id": 1}], "categories": []}
    (images / "train.json").write_text(json.dumps(listed))
    train, val = find_train_and_val(images, 0.2, 0)
    assert not isinstance(train, BoxSplit)
    assert (len(train), len(val)) == (36, 12)


def test_boxes_beside_other_folders_are_no_class_folders(tmp_path: Path) -> None:
    write_voc(tmp_path)
    write_classes(tmp_path / "more", 2)
    split = only_split(tmp_path)
    assert rows_of(split) == EXPECTED
    assert [problem.fault for problem in split.problems] == ["has no annotation file"] * 6


def test_two_files_for_one_split_are_asked_about(tmp_path: Path) -> None:
    root = WRITERS["coco"](tmp_path / "data")
    shutil.copy(root / "annotations" / "instances.json", root / "annotations" / "instances_2.json")
    with pytest.raises(DataError, match="instances.json and instances_2.json may both have them. Try one of them"):
        open_splits(root)


def test_a_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    write_voc(tmp_path)
    split = find_split(tmp_path, ("owl", "none", "cat", "dog"))
    assert isinstance(split, BoxSplit)
    assert rows_of(split) == EXPECTED
    assert split.classes == ("owl", "none", "cat", "dog")
    with pytest.raises(DataError, match="has a class 'owl' that training did not have"):
        find_split(tmp_path, ("cat", "dog"))


def test_data_without_boxes_is_named_with_its_first_fault(tmp_path: Path) -> None:
    write_voc(tmp_path)
    for path in (tmp_path / "Annotations").iterdir():
        path.write_text("<annotation>")
    with pytest.raises(DataError, match="it has no boxes. The first fault: .*a.xml is not XML: no element"):
        find_train_and_val(tmp_path, 0.2, 0)


@pytest.fixture
def shared() -> Path:
    if not (SHARED / "bccd").exists():
        pytest.skip(f"The sets with boxes are not in {SHARED}; set INCEPTORCH_SHARED to the folder of real data")
    return SHARED


def test_blood_cells_are_counted(shared: Path) -> None:
    splits = {name: read() for name, read in open_splits(shared / "bccd").items()}
    assert {name: len(split) for name, split in splits.items()} == {"train": 205, "val": 87, "test": 72}
    problems = [problem for split in splits.values() for problem in split.problems]  # type: ignore[attr-defined]
    assert [Path(problem.file).name for problem in problems] == ["BloodImage_00343.xml", "BloodImage_00338.xml"]
    assert all("('RBC') has no area" in problem.fault for problem in problems)
    totals = {name: sum(split.counts()[name] for split in splits.values()) for name in ("RBC", "WBC", "Platelets")}
    assert totals == {"RBC": 4155 - 2, "WBC": 372, "Platelets": 361}


def test_cards_are_counted(shared: Path) -> None:
    train, test = find_train_and_val(shared / "cards", 0.2, 0)
    assert (len(train), len(test)) == (296, 67)
    assert sum(train.counts().values()) + sum(test.counts().values()) == 670
    assert train.classes == ("ace", "jack", "king", "nine", "queen", "ten")
