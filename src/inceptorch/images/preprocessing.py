"""The pixel contract: how a picture file becomes the uint8 RGB square that a network sees.

Training, evaluation and prediction all come through here, so one photograph gives one answer everywhere. What is done
with each kind of file is decided in this file alone:

    rotation    EXIF orientation is applied; broken EXIF is ignored
    grayscale   repeated into three channels
    16 bits     the high byte, as the PNG standard reduces depth
    alpha       laid over white
    palette     looked up, with its transparency
    CMYK        converted without its colour profile
    animation   the first frame
    float       refused: there is no agreed range
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from inceptorch.errors import BundleError, DamagedImage, HugeImage, ImageError
from inceptorch.utils.files import reason
from inceptorch.utils.validation import Finite, build, check_fields

# Once for the process, as filters are not per thread: what Pillow remarks on metadata does no harm, and size is checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

Side = Annotated[int, Meta(ge=1, le=4096)]
Square = NDArray[np.uint8]  # [S, S, 3] RGB
Picture = str | Path | bytes | Image.Image | NDArray[np.uint8]

# Only formats whose decoders run inside Pillow: its EPS reader, for one, would start an interpreter. The first five are
# those that `preinit` loads: for a picture in one of them, Pillow does not load its forty other decoders.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000")
SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".avif",
        ".jp2",
        ".j2k",
    ]
)
MOST_PIXELS = 89_478_485  # Pillow's own limit for a warning
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, the weights of Pillow's own conversion to grayscale
LONGEST = 16  # a picture longer than this many times its width is cut to its middle before it is resized


class Header(NamedTuple):
    """What a picture file says of itself: its kind in Pillow's words, its size as stored, and how it is to be turned (as
    EXIF numbers it; 1: it is upright)."""

    format: str
    width: int
    height: int
    orientation: int


@dataclass(frozen=True)
class Pixels:
    """The contract of one set of weights.

    The shorter side is resized to `resize` pixels (the longer one rounded to the nearest), a centred square of `size`
    is cut out, the channels are put into the order `channels`, then (value - mean) / std with values from 0 to 255.
    """

    size: Side
    resize: Side
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    mean: tuple[Finite, ...] = (123.675, 116.28, 103.53)  # of ImageNet's training pictures, in RGB
    std: tuple[Finite, ...] = (58.395, 57.12, 57.375)
    filter: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = "bilinear"

    def __post_init__(self) -> None:
        check_fields(self, BundleError, "Pixel contract: ")
        if self.size > self.resize:
            raise BundleError(f"Pixel contract: size {self.size} must not be above resize {self.resize}.")
        if not len(self.mean) == len(self.std) == self.in_chans or 0 in self.std:
            raise BundleError(f"Pixel contract: {self.channels} needs {self.in_chans} means and nonzero deviations.")

    @property
    def in_chans(self) -> int:
        return 1 if self.channels == "gray" else 3

    def square(self, picture: Picture) -> Square:
        """The uint8 RGB square [size, size, 3] of a picture. Raises ImageError."""
        image = resize_shorter(decode(picture), self.resize, self.filter)
        left, top = (image.width - self.size) // 2, (image.height - self.size) // 2
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)))

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what the square shows of an upright picture of that size, in its pixels."""
        short, long = sorted((width, height))
        kept = min(long, LONGEST * short)
        across = _centred(self.size, self.resize, short)
        along = _centred(self.size, round(self.resize * kept / short), kept, (long - kept) // 2)
        (left, right), (top, bottom) = (across, along) if width <= height else (along, across)
        return left, top, right, bottom

    def describe(self) -> str:
        """The protocol of the centre crop in words, for results and model cards."""
        return f"center: shorter side to {self.resize} ({self.filter}), centre crop {self.size}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Pixels:
        """Read what `to_dict` wrote. Raises BundleError for missing, unknown or impossible values."""
        return build(cls, values, "A pixel contract", BundleError)


def contract(size: int, channels: Literal["rgb", "bgr", "gray"] = "rgb") -> Pixels:
    """The contract of a network trained from scratch on squares of `size`.

    Photographs are resized a little larger than the crop, as 256 to 224; small pictures are taken whole.
    """
    resize = size if size <= 96 else round(size * 256 / 224)
    if channels == "gray":
        return Pixels(size, resize, "gray", mean=(117.0,), std=(57.0,))
    rgb = Pixels(size, resize)
    return rgb if channels == "rgb" else Pixels(size, resize, "bgr", rgb.mean[::-1], rgb.std[::-1])


def decode(picture: Picture) -> Image.Image:
    """A picture in mode RGB, upright, at its own size.

    Takes a path, the bytes of a file, a Pillow image, or an array uint8 [H, W] or [H, W, 3]. Raises ImageError.
    """
    with _naming(picture):
        if isinstance(picture, np.ndarray):
            return Image.fromarray(picture).convert("RGB")
        if isinstance(picture, Image.Image):
            return _to_rgb(picture)
        with _opened(picture) as image:
            return _to_rgb(image)


def decode_with_header(file: str | Path | bytes) -> tuple[Header, Image.Image]:
    """As `decode`, of a file, with what the file says of itself."""
    with _naming(file), _opened(file) as image:
        # Before it is decoded: Pillow turns a TIFF while it decodes, and forgets that it did.
        header = Header(image.format or "", image.width, image.height, _orientation(image))
        return header, _to_rgb(image)


def format_of(file: bytes) -> str | None:
    """The kind of picture file that these bytes begin like, in Pillow's words; None if they are none."""
    try:
        with _opened(file) as image:
            return image.format
    except Exception:  # whatever foreign bytes provoke
        return None


def size_of(file: bytes) -> tuple[int, int]:
    """Width and height of a picture as stored, from its head alone: nothing is decoded. Raises ImageError."""
    with _naming(file), _opened(file) as image:
        return image.size


def open_regular(path: str | Path) -> BinaryIO:
    """A file, open to be read. Raises ImageError for a pipe or a device, which might never come to an end, and OSError."""
    at_once = getattr(os, "O_NONBLOCK", 0)  # without it, a pipe is waited for until somebody writes to it
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | at_once))  # noqa: SIM115 (the caller's)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageError(path, "is a pipe or a device, not a regular file")
    return file


@contextmanager
def _opened(picture: str | Path | bytes) -> Iterator[Image.Image]:
    """A file of a size that is read here, not decoded yet."""
    Image.preinit()
    with io.BytesIO(picture) if isinstance(picture, bytes) else open_regular(picture) as file:
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            empty = file.seek(0, os.SEEK_END) == 0
            raise ImageError(None, "is empty" if empty else "is not a picture in a format that is read here") from None
        with image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            yield image


def _orientation(image: Image.Image) -> int:
    """How EXIF says that the picture is to be turned, 2 to 8; 1 where it is not."""
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF
        return 1
    return orientation if orientation in range(2, 9) else 1


@contextmanager
def _naming(picture: Picture) -> Iterator[None]:
    """Whatever goes wrong inside with a picture, as an ImageError with its path."""
    path = picture if isinstance(picture, str | Path) else None
    try:
        yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = MOST_PIXELS // 1_000_000
        raise HugeImage(path, f"has more than {limit} million pixels; reduce it before use") from None
    except ImageError as error:
        raise type(error)(path, error.reason) from None
    except FileNotFoundError:
        raise ImageError(path, "does not exist") from None
    except IsADirectoryError:
        raise ImageError(path, "is a folder, not a picture") from None
    except PermissionError:
        raise ImageError(path, "may not be read: permission denied") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes
        if isinstance(error, OSError) and error.errno is not None:  # it is the system's, not a decoder's
            raise ImageError(path, f"could not be read: {reason(error)}") from None
        raise DamagedImage(path, f"is damaged: {str(error) or type(error).__name__}") from None


def resize_shorter(image: Image.Image, side: int, filter: str) -> Image.Image:
    """Resize so that the shorter side has `side` pixels; the longer one follows, rounded to the nearest."""
    short, long = sorted(image.size)
    if long > LONGEST * short:
        image = _middle(image, LONGEST * short)
        long = LONGEST * short
    long_side = round(side * long / short)
    to = (side, long_side) if image.width <= image.height else (long_side, side)
    return image if image.size == to else image.resize(to, Image.Resampling[filter.upper()])


def _middle(image: Image.Image, length: int) -> Image.Image:
    """The middle `length` pixels of the longer side."""
    start = (max(image.size) - length) // 2
    wide = image.width >= image.height
    return image.crop((start, 0, start + length, image.height) if wide else (0, start, image.width, start + length))


def _centred(size: int, side: int, original: int, offset: int = 0) -> tuple[float, float]:
    """Where the middle `size` pixels of a side begin and end on the original side that was resized to `side` pixels."""
    start, scale = (side - size) // 2, original / side
    return offset + start * scale, offset + (start + size) * scale


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.width < 1 or image.height < 1:
        raise ImageError(None, "has no pixels")
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF is common and says nothing about the pixels
        image.load()
    if image.mode == "F":
        raise ImageError(None, "has floating point pixels, which have no agreed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        # 16-bit grayscale; mode "I" holds the same values in 32 bits
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
