"""Zip files."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from inceptorch.data import find_train_and_val, without_unreadable
from inceptorch.data.sources.zip import Zip
from inceptorch.errors import DataError, ImageError
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes
from tests.data.conftest import LONG_AGO, Seen, zipped

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


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


def test_a_sentence_names_the_folder_inside_a_wrapped_zip(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images / "val" / "red", images / "val" / "rad")
    archive = zipped(images, tmp_path / "wrapped.zip", prefix="images/")
    with pytest.raises(DataError, match=rf"^{archive}/images/val has a class folder 'rad'"):
        find_train_and_val(archive, 0.2, 0)


def test_a_zip_file_is_decoded_again_when_it_changed(data: Path, tmp_path: Path, seen: Seen) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(data.rglob("*.png")):
            file.write(path, path.relative_to(data).as_posix())
    os.utime(archive, (LONG_AGO, LONG_AGO))
    assert seen.check(archive)[0] == 15
    assert seen.check(archive)[0] == 1
    os.utime(archive, (LONG_AGO + 1, LONG_AGO + 1))
    assert seen.check(archive)[0] == 15


def test_a_damaged_member_is_named(images: Path, tmp_path: Path) -> None:
    archive = zipped(images, tmp_path / "all.zip")
    content = archive.read_bytes()
    start = content.index((images / "train" / "blue" / "00.png").read_bytes())
    archive.write_bytes(content[: start + 50] + b"damage" + content[start + 56 :])
    with pytest.raises(ImageError, match=f"{archive}/train/blue/00.png could not be read from the zip file: Bad CRC"):
        Zip(archive).read("train/blue/00.png")
