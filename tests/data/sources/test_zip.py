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


@pytest.mark.parametrize(("prefix", "separator"), [("", "\\"), ("./", "/"), ("/", "/"), (".\\", "\\")])
def test_names_may_have_backslashes_or_begin_with_a_point(
    images: Path, tmp_path: Path, prefix: str, separator: str
) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(prefix + "train" + separator, "")  # a folder
        file.writestr("./", "")  # as some programs write the top folder
        for path in sorted(images.rglob("*.png")):
            info = zipfile.ZipInfo("x")
            info.filename = prefix + path.relative_to(images).as_posix().replace("/", separator)
            file.writestr(info, path.read_bytes())
    found = find_train_and_val(archive, 0.2, 0)
    for split, folder in zip(found, find_train_and_val(images, 0.2, 0), strict=True):
        assert (list(split.paths), split.labels.tolist()) == (list(folder.paths), folder.labels.tolist())
        assert list(split.unused) == []
        assert (split.read(3), split.files.sizes[3]) == (folder.read(3), folder.files.sizes[3])


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/x.jpg", b"small")
    content = archive.read_bytes()
    size, large = (5).to_bytes(4, "little"), (3_000_000_000).to_bytes(4, "little")
    archive.write_bytes(content.replace(size + size, size + large))
    with pytest.raises(ImageError, match="a/x.jpg has 3,000 MB, more than the 1,000 MB that are read"):
        Zip(archive).read("a/x.jpg")


@pytest.mark.parametrize(
    ("offset", "value", "sentence"),
    [(6, 200, "zip file version 20.0. Try another"), (10, 99, "could not be read from the zip file: That compression")],
)
def test_a_zip_file_of_another_kind_is_refused(
    images: Path, tmp_path: Path, offset: int, value: int, sentence: str
) -> None:
    archive = zipped(images, tmp_path / "all.zip")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + offset] = value
    archive.write_bytes(content)
    with pytest.raises((DataError, ImageError), match=sentence):
        Zip(archive).read("train/blue/00.png")


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
