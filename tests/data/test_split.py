"""Splits: drawn, matched with classes, sent and fingerprinted."""

import hashlib
import os
import pickle
import shutil
from pathlib import Path

import pytest
from PIL import Image

from inceptorch.data import find_split, find_train_and_val, fingerprint
from inceptorch.data.split import split_of
from inceptorch.errors import DataError
from tests.conftest import COLORS, write_classes
from tests.data.conftest import zipped

CLASSES = tuple(COLORS)


def test_split_is_stratified_seeded_and_independent_of_other_classes(tmp_path: Path) -> None:
    write_classes(tmp_path / "all", 10)
    first = find_train_and_val(tmp_path / "all", 0.2, seed=1)
    assert first[1].counts() == dict.fromkeys(CLASSES, 2)
    assert set(first[0].paths).isdisjoint(first[1].paths)
    assert len(first[0]) + len(first[1]) == 30
    assert find_train_and_val(tmp_path / "all", 0.2, seed=1)[1].paths == first[1].paths
    assert find_train_and_val(tmp_path / "all", 0.2, seed=2)[1].paths != first[1].paths
    shutil.copytree(tmp_path / "all" / "red", tmp_path / "all" / "another")
    again = find_train_and_val(tmp_path / "all", 0.2, seed=1)[1]
    assert set(first[1].paths) <= set(again.paths)


def test_an_image_is_whole_upright_and_in_color(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for name in ("a/0.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (30, 20), 7).save(tmp_path / name, exif=exif)
    image = find_split(tmp_path, ("a", "b")).image(1)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (20, 30), (7, 7, 7))


def test_images_too_few_to_hold_any_out_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "single", 1)
    with pytest.raises(DataError, match="no images are left for validation. Give every class two"):
        find_train_and_val(tmp_path / "single", 0.2, 0)


def test_classes_are_checked_against_training(images: Path) -> None:
    shutil.copytree(images / "val" / "red", images / "val" / "rad")
    with pytest.raises(DataError, match=r"val has a class folder 'rad' that training did not have; did you mean 'red'"):
        find_train_and_val(images, 0.2, 0)
    shutil.rmtree(images / "val" / "rad")
    shutil.rmtree(images / "val" / "blue")
    val = find_train_and_val(images, 0.2, 0)[1]
    assert val.classes == CLASSES
    assert set(val.labels) == {1, 2}


def test_a_class_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "all", 5)
    os.rename(tmp_path / "all" / "red", os.fsencode(tmp_path / "all") + b"/\xfe")
    for find in (
        lambda: find_train_and_val(tmp_path / "all", 0.2, 0),
        lambda: find_split(tmp_path / "all", CLASSES),
    ):
        with pytest.raises(DataError, match=r"all: the name of the class folder '\\udcfe' is not in UTF-8; rename it"):
            find()


def test_labels_follow_the_classifiers_order_not_the_folders(images: Path) -> None:
    split = find_split(images, ("red", "green", "blue", "unseen"))
    assert {Path(path).parent.name: label for path, label in zip(split.paths, split.labels, strict=True)} == {
        "red": 0,
        "green": 1,
        "blue": 2,
    }


def test_fingerprint_follows_the_data(images: Path) -> None:
    before = fingerprint(find_split(images, CLASSES))
    assert fingerprint(find_split(images, CLASSES)) == before
    assert fingerprint(find_split(images, CLASSES).select(range(11, -1, -1))) == before
    with open(images / "val" / "red" / "00.png", "ab") as file:
        file.write(b"x")
    assert fingerprint(find_split(images, CLASSES)) != before


def test_what_is_found_and_val_stays_what_it_was(tmp_path: Path) -> None:
    for name in ("a b", "a", "ä", "train"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for number in range(11):
            (tmp_path / "all" / name / f"{number}é{'.x' if number % 3 else ''}.png").write_bytes(b"x" * number)
    (tmp_path / "all" / "a" / "sub").mkdir()
    for name in ("sub/z.jpg", "sub-.jpg"):
        (tmp_path / "all" / "a" / name).write_bytes(b"q")
    train, val = find_train_and_val(tmp_path / "all", 0.3, seed=7)
    # The values of version 0.1, by which runs know their images.
    assert fingerprint(train, val) == "58ae32a280f8be54343cfeaceb5f134e4516409368d95a8b5f781ca8dc14f591"
    digests = [hashlib.sha256("\n".join(split.paths).encode()).hexdigest()[:16] for split in (train, val)]
    assert digests == ["1813fa2b31d1034d", "1bc29a197f8082df"]
    assert train.counts() == {"a": 9, "a b": 8, "train": 8, "ä": 8}


def test_a_split_is_sent_to_another_process(images: Path, tmp_path: Path) -> None:
    for data in (images, zipped(images, tmp_path / "all.zip")):
        split = find_split(data, CLASSES, "val").select([7, 3])
        again = pickle.loads(pickle.dumps(split))
        assert again.paths == split.paths
        assert again.labels.tolist() == split.labels.tolist() == [1, 0]
        assert again.read(0) == split.read(0) == (images / "val" / "green" / "03.png").read_bytes()


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (
            ("train", "Training", "training_set", "TRAIN", "TrainData", "imagenet1k-train-0000.tar", "train2017"),
            "train",
        ),
        (("val", "valid", "Validation", "dev", "eval", "my.val.set", "VALID1", "über_val"), "val"),
        (("test", "Testing", "test_set", "TestSet", "a-test-00001-of-2.tar"), "test"),
        (("", "daisy", "contest", "trains", "protest-0.tar", "festival", "éval", "devil", "evaluate", "train_val"), ""),
    ],
)
def test_a_split_is_a_word_of_a_name(names: tuple[str, ...], split: str) -> None:
    assert {name: split_of(name) for name in names} == dict.fromkeys(names, split)


def test_many_classes_are_abbreviated(images: Path) -> None:
    split = find_split(images, CLASSES, "train")
    assert split.describe() == "'blue' 12, 'green' 12, 'red' 12"
    classes = (*CLASSES, *(f"class {number:02}" for number in range(20)))
    many = "23 classes of 0 to 12 images: 'blue' 12, 'green' 12, 'red' 12, ..., 'class 19' 0"
    assert split.with_classes(classes).describe() == many
