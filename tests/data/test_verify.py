"""Unreadable images are left out, and what did not change is not decoded again."""

import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.data import find_split, find_train_and_val, without_unreadable
from inceptorch.data.sources.folder import Folder
from inceptorch.errors import DataError, ImageError
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS
from tests.data.conftest import Seen

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


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


def test_a_file_larger_than_any_image_is_left_out_unread(images: Path) -> None:
    with open(images / "train" / "red" / "large.jpg", "wb") as file:
        file.truncate(5_000_000_000)
    _, skipped = without_unreadable(find_train_and_val(images, 0.2, 0)[0], QUIET)
    assert [one["error"] for one in skipped] == ["has 5,000 MB, more than the 1,000 MB that are read"]


def test_16_bits_of_which_few_are_used_are_told_every_time(
    data: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = data / "red" / "deep.png"
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(deep)
    os.utime(deep, (1_600_000_000, 1_600_000_000))
    for _ in range(2):
        kept, skipped = without_unreadable(find_split(data, CLASSES), Progress())
        assert len(skipped) == 1  # another one
        told = (
            f"1 of {len(kept) + 1} images have 16 bits and use only their lowest 12 or fewer, so that they look black"
        )
        assert f"{told}: {deep}. Try multiplying their values by 16." in capsys.readouterr().err


def test_a_class_without_a_readable_image_is_refused(images: Path) -> None:
    for path in (images / "train" / "blue").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="No image of class 'blue' can be read"):
        without_unreadable(find_train_and_val(images, 0.2, 0)[0], QUIET)


def test_what_did_not_change_is_not_decoded_again(data: Path, seen: Seen) -> None:
    decoded, first, skipped = seen.check(data)
    assert (decoded, skipped) == (15, ["01.png"])
    decoded, again, skipped = seen.check(data)
    assert (decoded, skipped) == (1, ["01.png"])  # what is broken may have been mended
    assert again.paths == first.paths


def test_only_what_changed_is_decoded_again(data: Path, seen: Seen) -> None:
    seen.check(data)
    shutil.copy(data / "blue" / "00.png", data / "green" / "new.png")
    (data / "green" / "00.png").unlink()
    (data / "blue" / "03.png").write_bytes(b"broken meanwhile")
    shutil.copy(data / "red" / "00.png", data / "red" / "01.png")
    decoded, kept, skipped = seen.check(data)
    assert (decoded, skipped) == (3, ["03.png"])
    assert kept.counts() == {"blue": 4, "green": 5, "red": 5}


def test_what_changed_only_just_now_is_not_trusted(data: Path, seen: Seen) -> None:
    (data / "red" / "00.png").touch()
    seen.check(data)
    assert seen.check(data)[0] == 2


def test_parts_that_were_drawn_share_what_is_remembered(data: Path, seen: Seen) -> None:
    whole = find_split(data, CLASSES)
    seen.decoded = 0
    for part in (whole.select(range(0, 15, 2)), whole.select(range(1, 15, 2)), whole):
        without_unreadable(part, Progress(quiet=True))
    assert seen.decoded == 16  # the broken one twice


def test_a_passing_fault_is_not_remembered(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(folder: Folder, path: str) -> bytes:
        raise ImageError(path, "could not be read: input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", failing)
        with pytest.raises(DataError, match="input/output error"):
            without_unreadable(find_split(data, CLASSES), Progress(quiet=True))
    assert len(without_unreadable(find_split(data, CLASSES), Progress(quiet=True))[0]) == 14


def test_without_a_place_for_the_index_it_takes_time_and_a_line(
    data: Path, home: Path, seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file where the folder should be")
    for _ in range(2):
        kept, _ = without_unreadable(find_split(data, CLASSES), Progress())
        said = capsys.readouterr().err
        assert len(kept) == 14
        assert said.count("\n") == 1
        assert said.startswith("Could not write the image-check cache: ")
    assert seen.decoded == 30


def test_nothing_is_written_into_the_data(data: Path, seen: Seen) -> None:
    before = sorted(data.rglob("*"))
    seen.check(data)
    assert sorted(data.rglob("*")) == before
