"""Limits on the memory and time that one image file may take, which neither its size nor its pixels tell.

Files from strangers can be small and yet make a decoder work for minutes. A JPEG can have thousands of scans, each of
which goes over all pixels. Pillow reads headers in Python, piece by piece. An image that exceeds a limit is refused
before it is decoded, or as soon as the limit is reached.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from inceptorch.errors import ImageError
from inceptorch.utils.files import open_regular

MAX_PIXELS = 89_478_485  # Pillow's own limit for a warning
MAX_BYTES = 1_000_000_000  # of a file: above what so many pixels take uncompressed, with 4 channels of 16 bits
FEW_SCANS, MAX_SCANS = 20, 100  # of a JPEG: always allowed, and at most, as in libtiff; a progressive one has about 10
MAX_SCANNED = 2_000_000_000  # pixels of all its scans; a few seconds
MAX_SEGMENTS = 1000  # of a JPEG beside its scans, each of up to 64 kB
MAX_UNPACKED = 100  # texts and color profiles of a PNG that are compressed, each to be unpacked to up to 1 MB
MAX_NUMBERS = 200_000  # in a tag of a TIFF, such as the positions of its strips
MAX_READS = 500_000  # by Pillow, of up to 4 kB each; a second or two
MAX_TEXT_BYTES = 10_000_000  # of pixels written as decimal numbers, which Pillow reads in a few seconds
MAX_COMMENTS = 1000  # among such numbers

START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
ANY_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TIFF_BYTES, TIFF_TEXT, TIFF_UNDEFINED = 1, 2, 7  # types of tags that are not numbers
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # not the escaped FF 00, nor a restart within a scan


class BoundedReader(io.BytesIO):
    """A file in memory for Pillow, which may read from it only so often. `read` raises ImageError."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.reads += 1 + len(content) // 4096
        if self.reads > MAX_READS:
            raise ImageError(None, "consists of too many small pieces; save it again with another program")
        return content


def read_image_file(path: str | Path) -> bytes:
    """The bytes of an image file. Raises OSError, and ImageError for a file that is not regular or is too large."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_bytes(path, size)
        return file.read(size)  # not what another process appends meanwhile


def check_bytes(path: str | Path | None, size: int) -> None:
    """Raise ImageError for an image file that is too large to be read whole."""
    if size > MAX_BYTES:
        raise ImageError(path, f"has {size / 1e6:,.0f} MB, more than the {MAX_BYTES / 1e6:,.0f} MB that are read")


def check_work(data: bytes) -> None:
    """Raise ImageError for a file that would take far longer than its pixels do. Nothing is decoded."""
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG"):
        if sum(data.count(kind) for kind in (b"iCCP", b"iTXt", b"zTXt")) > MAX_UNPACKED:
            raise ImageError(None, f"has more than {MAX_UNPACKED} compressed texts; save it again without them")
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        with suppress(struct.error):  # a file that is cut off is for Pillow to refuse
            _check_tiff(data)
    elif data[:2] in (b"P1", b"P2", b"P3"):
        if len(data) > MAX_TEXT_BYTES:
            size = f"more than {MAX_TEXT_BYTES // 1_000_000} MB of decimal numbers"
            raise ImageError(None, f"consists of {size}; save it in a binary format such as PNG")
        if data.count(b"#") > MAX_COMMENTS:
            raise ImageError(None, f"has more than {MAX_COMMENTS} comments; save it again without them")


def _check_jpeg(data: bytes) -> None:
    # Thumbnails in the header have scans too, and so may what follows the image: only a close look tells.
    suspicious = data.count(bytes([0xFF, START_OF_SCAN])) > FEW_SCANS
    scans = others = pixels = 0
    for marker, at in jpeg_segments(data):
        if marker == START_OF_SCAN:
            scans += 1
            if not suspicious:
                return
        else:
            others += 1
        if marker in ANY_FRAME:
            pixels = int.from_bytes(data[at + 3 : at + 5]) * int.from_bytes(data[at + 5 : at + 7])
        if scans > FEW_SCANS and (scans > MAX_SCANS or scans * pixels > MAX_SCANNED):
            raise ImageError(None, f"has {scans} scans or more, too many; save it again as an ordinary JPEG")
        if others > MAX_SEGMENTS:
            raise ImageError(None, f"has more than {MAX_SEGMENTS} segments; save it again without metadata")


def _check_tiff(data: bytes) -> None:
    """Look at the tags of the first image. Raises ImageError, and struct.error where the file is too short."""
    order, big = "<" if data.startswith(b"I") else ">", b"+" in data[2:4]
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (tags,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    start += 8 if big else 2
    for number in range(min(tags, 1 << 16)):
        _, kind, count = struct.unpack_from(
            order + ("HHQ" if big else "HHI"), data, start + number * (20 if big else 12)
        )
        if kind not in (TIFF_BYTES, TIFF_TEXT, TIFF_UNDEFINED) and count > MAX_NUMBERS:
            raise ImageError(None, f"has a tag of more than {MAX_NUMBERS} numbers; save it again in larger strips")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker of each segment of a JPEG's first image, and where its content begins, as libjpeg finds them."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == END_OF_IMAGE:
            return
        yield marker, at
        if marker >= 0xC0 and marker != 0xD8:  # others have no content
            at += int.from_bytes(data[at : at + 2])
