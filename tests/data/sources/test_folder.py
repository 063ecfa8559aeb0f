"""Folders: what is an image in them."""

import shutil
from pathlib import Path

import pytest

from inceptorch.data import find_split
from inceptorch.data.sources.folder import Folder
from inceptorch.data.string_array import UNKNOWN, StringArray
from inceptorch.errors import ImageError
from inceptorch.inference.inputs import find_images
from tests.conftest import COLORS, write_classes

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
