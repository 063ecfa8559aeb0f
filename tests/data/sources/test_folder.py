"""Folders: what is an image in them."""

import shutil
from pathlib import Path

import pytest

from inceptorch.data import find_split, find_train_and_val
from inceptorch.data.sources.folder import Folder
from inceptorch.data.sources.zip import Zip
from inceptorch.data.string_array import UNKNOWN, StringArray
from inceptorch.errors import ImageError
from inceptorch.inference.inputs import find_images
from tests.conftest import COLORS, write_classes
from tests.data.conftest import zipped

CLASSES = tuple(COLORS)


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


JUNK = ("@eaDir", "$RECYCLE.BIN", "#recycle", "lost+found", "System Volume Information", "__MACOSX", ".Trash")


@pytest.mark.parametrize("archived", [False, True])
def test_what_systems_leave_behind_is_no_data(images: Path, tmp_path: Path, archived: bool) -> None:
    for junk in JUNK:
        for within in (images, images / "train", images / "train" / "red"):
            (within / junk / "00.png").mkdir(parents=True)
            shutil.copy(images / "val" / "red" / "00.png", within / junk / "00.png" / "thumb.png")
    data = zipped(images, tmp_path / "all.zip") if archived else images
    train, _ = find_train_and_val(data, 0.2, 0)
    assert (train.counts(), list(train.unused)) == (dict.fromkeys(CLASSES, 12), [])


def test_a_file_that_is_too_large_is_not_read(images: Path) -> None:
    with open(images / "train" / "red" / "00.png", "r+b") as file:
        file.truncate(5_000_000_000)
    with pytest.raises(ImageError, match="red/00.png has 5,000 MB, more than the 1,000 MB that are read"):
        Folder(images / "train").read("red/00.png")


def test_images_to_predict_come_in_a_stable_order(images: Path) -> None:
    found = list(find_images(images / "val"))
    assert found == sorted(found)
    assert len(found) == 12
    assert list(find_images(images / "none.jpg")) == [str(images / "none.jpg")]
    (images / "bare").mkdir()
    with pytest.raises(ImageError, match="holds no images"):
        list(find_images(images / "bare"))


def test_files_have_their_states(images: Path) -> None:
    names = StringArray(["red/00.png", "gone.png", str(images / "val" / "red" / "01.png")])
    files = Folder(images / "train").files_of(names)
    states = [(images / "train" / "red" / "00.png").stat(), (images / "val" / "red" / "01.png").stat()]
    assert files.sizes.tolist() == [states[0].st_size, UNKNOWN, states[1].st_size]
    assert files.changed.tolist() == [states[0].st_mtime_ns, UNKNOWN, states[1].st_mtime_ns]


def test_the_beginning_of_a_file_is_read_alike_from_a_folder_and_a_zip_file(tmp_path: Path) -> None:
    write_classes(tmp_path / "all", 1)
    data = (tmp_path / "all" / "red" / "00.png").read_bytes()
    for tree in (Folder(tmp_path / "all"), Zip(zipped(tmp_path / "all", tmp_path / "all.zip"))):
        assert tree.head("red/00.png", 7) == data[:7]
        assert tree.head("red/00.png", 10**6) == tree.read("red/00.png") == data
    with pytest.raises(ImageError, match="none.png could not be read: no such file"):
        Folder(tmp_path / "all").head("none.png", 7)
