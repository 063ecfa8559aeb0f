"""Limits on the work that an image file may make."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import ImageError
from inceptorch.images import limits
from inceptorch.images.decode import decode, read_header
from inceptorch.images.limits import (
    MAX_BYTES,
    MAX_COMMENTS,
    MAX_NUMBERS,
    MAX_SCANS,
    MAX_SEGMENTS,
    MAX_TEXT_BYTES,
    MAX_UNPACKED,
)
from tests.helpers import encoded, tiff

SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
PROGRESSIVE = encoded(SMALL, progressive=True)
SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]  # the last one
APP1 = b"\xff\xe1\0\2"


def with_scans(count: int) -> bytes:
    own = PROGRESSIVE.count(b"\xff\xda")
    return PROGRESSIVE[:-2] + SCAN * (count - own) + b"\xff\xd9"


def enlarged(data: bytes) -> bytes:
    """The same JPEG with a header that claims 80 million pixels."""
    frame = data.index(b"\xff\xc2") + 5
    return data[:frame] + struct.pack(">HH", 10_000, 10_000) + data[frame + 4 :]


def with_chunks(kind: bytes, count: int) -> bytes:
    body = b"a\0\0" + zlib.compress(bytes(9))
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    whole = encoded(SMALL, "PNG")
    return whole[:33] + chunk * count + whole[33:]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (with_scans(MAX_SCANS + 1), "has 101 scans or more, too many; save it again as an ordinary JPEG"),
        (enlarged(with_scans(21)), "has 21 scans or more, too many"),
        (tiff(8, 8, bytes(32), bits=8, strips=MAX_NUMBERS + 1), "has a tag of more than 200000 numbers"),
        (PROGRESSIVE[:2] + APP1 * (MAX_SEGMENTS + 1) + PROGRESSIVE[2:], "has more than 1000 segments"),
        (PROGRESSIVE[:-2] + b"\xff\xfe\0\2" * 2000 + SCAN * 100 + b"\xff\xd9", "has more than 1000 segments"),
        (with_chunks(b"iCCP", MAX_UNPACKED + 1), "has more than 100 compressed texts; save it again without"),
        (with_chunks(b"zTXt", MAX_UNPACKED + 1), "has more than 100 compressed texts; save it again without"),
        (b"P2 1 1 255\n" + b"#\n" * (MAX_COMMENTS + 1) + b"7", "has more than 1000 comments"),
        (b"P3 9 9 255\n" + b"7 " * (MAX_TEXT_BYTES // 2), "consists of more than 10 MB of decimal numbers"),
    ],
)
def test_files_that_make_too_much_work_are_refused_from_a_look(data: bytes, sentence: str) -> None:
    for read in (decode, read_header, lambda data: decode(data, fast=True)):
        with pytest.raises(ImageError, match=sentence):
            read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"P6\n" + b"#" * 2000 + b"\n1 1 255\n\7\7\7",
        b"\xff\xd8" + b"\xff" * 2000 + PROGRESSIVE[2:],
        b"\xff\xd8\xff\xe0\0\2" + bytes(2000) + PROGRESSIVE[2:],
        b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * 2000 + b";",
        with_chunks(b"abCd", 1000),
        tiff(64, 64, bytes(32 * 64), bits=8, strips=2000),
        b"BM"
        + struct.pack("<IIIIiiHHIIIIII", 0, 0, 1078, 40, 50, 50, 1, 8, 1, 0, 0, 0, 0, 0)
        + bytes(1024)
        + b"\1\7" * 2500,
    ],
    ids=["comment", "fill bytes", "foreign bytes", "empty blocks", "chunks", "strips", "runs"],
)
def test_files_of_many_pieces_are_refused_while_they_are_read(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_READS", 1000)
    with pytest.raises(ImageError, match="consists of too many small pieces; save it again"):
        decode(data)


def test_a_read_counts_once_and_once_more_for_every_4_kb() -> None:
    reader = limits.BoundedReader(bytes(20_000))
    counts = []
    for size in (1, 4095, 4096, 8192):
        reader.read(size)
        counts.append(reader.reads)
    assert counts == [1, 2, 4, 7]


def test_ordinary_files_are_far_below_the_limits() -> None:
    assert PROGRESSIVE.count(b"\xff\xda") == 10
    thumbnail = struct.pack(">H", 602) + b"\xff\xda" * 300
    for data in (
        with_scans(MAX_SCANS),
        PROGRESSIVE + PROGRESSIVE * 20,  # as of several images in one file
        PROGRESSIVE[:2] + b"\xff\xe1" + thumbnail + PROGRESSIVE[2:],
        PROGRESSIVE[:2] + APP1 * 100 + PROGRESSIVE[2:],
    ):
        with Image.open(io.BytesIO(data)) as opened:
            plain = np.asarray(opened.convert("RGB"))
        np.testing.assert_array_equal(decode(data).array, plain)
        np.testing.assert_array_equal(decode(data, fast=True).array, plain)
    np.testing.assert_array_equal(decode(with_chunks(b"zTXt", MAX_UNPACKED)).array, np.asarray(SMALL))


def test_only_markers_from_c0_on_have_content_and_what_is_in_it_is_no_marker() -> None:
    for marker in (0xC0, 0xC4, 0xDA, 0xE1, 0xFE):
        data = b"\xff\xd8\xff" + bytes([marker]) + b"\0\4\xff\xda" + b"\xff\xdb\0\2" + b"\xff\xd9"
        assert list(limits.jpeg_segments(data)) == [(marker, 4), (0xDB, 10)]
    for marker in (0x01, 0xBF, 0xD8):
        data = b"\xff\xd8\xff" + bytes([marker]) + b"\0\4\xff\xda" + b"\0\2" + b"\xff\xd9"
        assert list(limits.jpeg_segments(data)) == [(marker, 4), (0xDA, 8)]


def test_a_file_larger_than_any_image_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "large.jpg", "wb") as file:
        file.truncate(5 * MAX_BYTES)
    with pytest.raises(ImageError, match=r"large.jpg has 5,000 MB, more than the 1,000 MB that are read"):
        decode(tmp_path / "large.jpg")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_might_never_end_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ImageError, match="is a pipe or a device, not a regular file"):
        decode(path)
