"""Folders and zip files: what is found, how it is split, and what is refused."""

import gc
import hashlib
import os
import pickle
import shutil
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inceptorch.data import find_split, find_train_and_val, fingerprint, without_unreadable
from inceptorch.data.string_array import StringArray
from inceptorch.errors import DataError, ImageError
from inceptorch.inference.inputs import find_images
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


def zipped(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def test_train_and_val_folders(images: Path) -> None:
    train, val = find_train_and_val(images, 0.2, seed=0)
    assert train.classes == val.classes == CLASSES
    assert (train.counts(), val.counts()) == (dict.fromkeys(CLASSES, 12), dict.fromkeys(CLASSES, 4))


@pytest.mark.parametrize("name", ["valid", "validation", "test", "Test"])
def test_other_names_of_the_val_folder(images: Path, name: str) -> None:
    (images / "val").rename(images / name)
    assert len(find_train_and_val(images, 0.2, seed=0)[1]) == 12


def test_zip_files_hold_what_folders_hold(images: Path, tmp_path: Path) -> None:
    expected = [len(split) for split in find_train_and_val(images, 0.2, 0)]
    whole = zipped(images, tmp_path / "whole.zip")
    wrapped = zipped(images, tmp_path / "wrapped.zip", prefix="images/")
    apart = tmp_path / "apart"
    apart.mkdir()
    zipped(images / "train", apart / "train.zip", prefix="train/")
    zipped(images / "val", apart / "val.zip")
    for data in (whole, wrapped, apart):
        train, val = find_train_and_val(data, 0.2, 0)
        assert [len(train), len(val)] == expected
        assert train.classes == CLASSES
        kept, skipped = without_unreadable(train, QUIET)
        assert (len(kept), skipped) == (36, [])


def test_one_folder_around_class_folders_is_stepped_into(tmp_path: Path) -> None:
    write_classes(tmp_path / "all", 5)
    archive = zipped(tmp_path / "all", tmp_path / "all.zip", prefix="all/")
    assert find_train_and_val(archive, 0.2, 0)[0].classes == CLASSES


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "vehicles", 5)
    (tmp_path / "vehicles" / "blue").rename(tmp_path / "vehicles" / "train")
    assert find_train_and_val(tmp_path / "vehicles", 0.2, 0)[0].classes == ("green", "red", "train")


def test_images_too_few_to_hold_any_out_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "single", 1)
    with pytest.raises(DataError, match="no images to evaluate with; give every class two"):
        find_train_and_val(tmp_path / "single", 0.2, 0)


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


def test_hidden_files_other_files_and_nested_folders(tmp_path: Path) -> None:
    root = tmp_path / "all"
    write_classes(root, 3)
    (root / ".DS_Store").write_text("x")
    (root / "blue" / "Thumbs.db").write_text("x")
    (root / "blue" / "notes.txt").write_text("x")
    (root / "blue" / "more").mkdir()
    shutil.copy(root / "blue" / "00.png", root / "blue" / "more" / "UPPER.PNG")
    (root / "blue" / "loop").symlink_to(root / "blue")
    split = find_split(root, CLASSES)
    assert split.counts() == {"blue": 4, "green": 3, "red": 3}


def test_unreadable_images_are_named_and_left_out(images: Path) -> None:
    broken = images / "train" / "blue" / "00.png"
    broken.write_bytes(broken.read_bytes()[:100])
    (images / "train" / "red" / "01.png").write_bytes(b"")
    (images / "train" / "red" / "text.jpg").write_text("not an image")
    before = sorted(images.rglob("*"))
    kept, skipped = without_unreadable(find_train_and_val(images, 0.2, 0)[0], QUIET)
    assert kept.counts() == {"blue": 11, "green": 12, "red": 11}
    assert [Path(one["file"]).name for one in skipped] == ["00.png", "01.png", "text.jpg"]
    assert all(one["error"] for one in skipped)
    assert sorted(images.rglob("*")) == before


def test_pipes_and_devices_are_unreadable_images(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    red = images / "train" / "red"
    os.mkfifo(red / "pipe.jpg")
    (red / "device.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(red)  # a socket has a short path
        server.bind("socket.jpg")
    kept, skipped = without_unreadable(find_train_and_val(images, 0.2, 0)[0], QUIET)
    assert kept.counts() == dict.fromkeys(CLASSES, 12)
    assert {Path(one["file"]).name: one["error"] for one in skipped} == {
        "device.jpg": "is a pipe or a device, not a regular file",
        "pipe.jpg": "is a pipe or a device, not a regular file",
        "socket.jpg": "could not be read: no such device or address",
    }


def test_a_class_without_a_readable_image_is_refused(images: Path) -> None:
    for path in (images / "train" / "blue").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="No image of class 'blue' can be read"):
        without_unreadable(find_train_and_val(images, 0.2, 0)[0], QUIET)


def test_classes_are_checked_against_training(images: Path) -> None:
    shutil.copytree(images / "val" / "red", images / "val" / "rad")
    with pytest.raises(DataError, match=r"val has a class folder 'rad' that training did not have; did you mean 'red'"):
        find_train_and_val(images, 0.2, 0)
    shutil.rmtree(images / "val" / "rad")
    shutil.rmtree(images / "val" / "blue")
    val = find_train_and_val(images, 0.2, 0)[1]
    assert val.classes == CLASSES
    assert set(val.labels) == {1, 2}


def test_shapes_that_are_refused(images: Path, tmp_path: Path) -> None:
    def refused(data: Path, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence):
            find_train_and_val(data, 0.2, 0)

    refused(tmp_path / "nowhere", "does not exist")
    refused(images / "val" / "red" / "00.png", "neither a folder nor a .zip")
    refused(images / "val" / "red", "no class folders")
    (tmp_path / "bad.zip").write_bytes(b"PK nonsense")
    refused(tmp_path / "bad.zip", "not a zip file")
    (images / "train" / "empty").mkdir()
    refused(images, "class folder 'empty' holds no images")
    (images / "train" / "empty").rmdir()
    shutil.move(images / "train", tmp_path / "moved")
    refused(images, "has val but no train. Add the images")
    one = tmp_path / "one"
    shutil.copytree(tmp_path / "moved" / "red", one / "red")
    refused(one, "the one class 'red'; a classifier needs at least two")


def test_a_class_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "all", 5)
    os.rename(tmp_path / "all" / "red", os.fsencode(tmp_path / "all") + b"/\xfe")
    for find in (
        lambda: find_train_and_val(tmp_path / "all", 0.2, 0),
        lambda: find_split(tmp_path / "all", CLASSES),
    ):
        with pytest.raises(DataError, match=r"all: the name of the class folder '\\udcfe' is not in UTF-8; rename it"):
            find()


def test_eval_takes_test_before_val_and_what_is_asked_for(images: Path) -> None:
    write_classes(images / "test", 2)
    assert len(find_split(images, CLASSES)) == 6
    assert len(find_split(images, CLASSES, "val")) == 12
    assert len(find_split(images, CLASSES, "train")) == 36
    assert len(find_split(images / "val", CLASSES)) == 12
    with pytest.raises(DataError, match="'vall'.*did you mean 'val'"):
        find_split(images, CLASSES, "vall")
    with pytest.raises(DataError, match="leave out --split"):
        find_split(images / "val", CLASSES, "val")


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


def test_images_to_predict_come_in_a_stable_order(images: Path) -> None:
    found = list(find_images(images / "val"))
    assert found == sorted(found)
    assert len(found) == 12
    assert list(find_images(images / "none.jpg")) == [str(images / "none.jpg")]
    (images / "bare").mkdir()
    with pytest.raises(ImageError, match="holds no images"):
        list(find_images(images / "bare"))


def test_a_sentence_names_the_folder_inside_a_wrapped_zip(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images / "val" / "red", images / "val" / "rad")
    archive = zipped(images, tmp_path / "wrapped.zip", prefix="images/")
    with pytest.raises(DataError, match=rf"^{archive}/images/val has a class folder 'rad'"):
        find_train_and_val(archive, 0.2, 0)


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


def test_names_are_a_tuple_of_strings_in_two_pieces_of_memory() -> None:
    strings = ("", "a", "ä/b.jpg", b"\xff.png".decode("utf-8", "surrogateescape"), "日本")
    names = StringArray(strings)
    assert tuple(names) == strings
    assert [names[index] for index in range(-5, 5)] == [*strings, *strings]
    assert tuple(names[1:4]) == strings[1:4]
    assert tuple(names[::-2]) == strings[::-2]
    assert tuple(names.take([4, 0, 4])) == (strings[4], strings[0], strings[4])
    assert StringArray.joined([names, StringArray(), names]) == StringArray(strings * 2) != names
    assert pickle.loads(pickle.dumps(names)) == names
    with pytest.raises(IndexError):
        names[5]
    with pytest.raises(ValueError, match="lengths do not fit"):
        StringArray.from_arrays(*StringArray(["abc"]).arrays()[:1], np.array([2]))


def test_a_million_names_are_few_objects() -> None:
    names = StringArray(f"class/{number}.jpg" for number in range(1_000_000))
    assert names[777_777] == "class/777777.jpg"
    assert names.take(np.arange(999_999, -1, -1))[0] == "class/999999.jpg"
    assert len(gc.get_referents(names)) <= 3  # its class, the bytes and the offsets
    assert len(pickle.dumps(names)) < 25_000_000
