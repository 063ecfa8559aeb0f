"""The part of a picture file that a training crop takes, or the whole of it, decoded fast.

What a file means is decided in `pixels.py`. Upright gray and colour JPEG of 8 bits, which is what most pictures are,
means the same to every decoder built on libjpeg-turbo; such a file goes to simplejpeg, which is faster than Pillow and
can leave out what a smaller picture does not need. Every other file goes to `pixels.decode`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image

from inceptorch.images.preprocessing import MOST_PIXELS, Header, decode, decode_with_header

try:
    import simplejpeg
except ImportError:  # where it has not been built for: Pillow decodes all
    simplejpeg = None

DECODERS = (
    f"pillow {PIL.__version__}, simplejpeg {getattr(simplejpeg, '__version__', None)}"  # who makes pixels of files
)
REDUCTIONS = (8, 4, 2, 1)  # that libjpeg-turbo decodes to in less time than the whole
APP1, START_OF_SCAN = 0xE1, 0xDA  # EXIF and XMP are in APP1
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive

Part = NDArray[np.uint8]  # [H, W, 3] RGB


class Box(NamedTuple):
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Part) -> Part:
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def decode_part(data: bytes, choose: Callable[[int, int], Box], side: int) -> Part:
    """The box that `choose(height, width)` names, of a picture file, as uint8 RGB [H, W, 3].

    It may come reduced by 2, 4 or 8 where that leaves it at least `side` by `side`. Raises ImageError.
    """
    size = upright_jpeg(data)
    if size is None:
        picture = np.asarray(decode(data))
        return choose(*picture.shape[:2]).of(picture)
    box = choose(*size)
    by = next((by for by in REDUCTIONS if min(box.height, box.width) >= by * side), 1)
    box = Box(*(length - length % by for length in box))  # onto the pixels of the reduced picture
    if simplejpeg is not None:
        try:
            height, width = (-(-length // by) for length in size)
            reduced = simplejpeg.decode_jpeg(data, min_height=height, min_width=width)
            return Box(*(length // by for length in box)).of(reduced)
        except ValueError:
            pass  # damaged: how badly is for Pillow to say
    return box.of(np.asarray(decode(data)))


class Decoded(NamedTuple):
    """A whole picture, upright: what its file says of itself, its pixels, and what a strict decoder has to say against the
    file where a lenient one takes it; "" where neither minds."""

    header: Header
    pixels: Part
    complaint: str


def decode_whole(data: bytes) -> Decoded:
    """The whole of a picture file at its own size. Raises ImageError."""
    size, complaint = upright_jpeg(data), ""
    if size is not None and simplejpeg is not None:
        height, width = size
        try:
            return Decoded(Header("JPEG", width, height, 1), simplejpeg.decode_jpeg(data), "")
        except ValueError as error:  # damaged: how badly is for Pillow to say, which fills small holes with gray
            complaint = str(error)
    header, picture = decode_with_header(data)
    return Decoded(header, np.asarray(picture), complaint)


def upright_jpeg(data: bytes) -> tuple[int, int] | None:
    """Height and width of an upright gray or colour JPEG of 8 bits, from its header; None for every other file."""
    if data[:2] != b"\xff\xd8":
        return None
    size, at = None, 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == START_OF_SCAN:
            return size
        if marker == APP1 and not _upright(data):
            return None
        if marker in FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if bits != 8 or components not in (1, 3) or not 0 < height * width <= MOST_PIXELS:
                return None
            size = height, width
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _upright(data: bytes) -> bool:
    """Whether neither EXIF nor XMP says that the picture is to be turned."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)
    except Exception:  # broken EXIF: for pixels.py to ignore
        return False
