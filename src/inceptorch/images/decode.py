"""From an image file to upright RGB pixels:

    rotation    EXIF orientation is applied; broken EXIF is ignored
    grayscale   repeated into three channels
    16 bits     the high byte, as the PNG standard reduces depth
    alpha       laid over white
    palette     looked up, with its transparency
    CMYK        converted without its color profile
    animation   the first frame
    float       refused: there is no agreed range

Most images are upright gray or color JPEG of 8 bits, which all decoders built on libjpeg-turbo decode alike. Where
speed counts, such a file goes to simplejpeg, which is faster than Pillow and can decode to a smaller size.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from inceptorch.errors import DamagedImage, HugeImage, ImageError
from inceptorch.utils.files import open_regular, os_error_reason

try:
    import simplejpeg
except ImportError:  # not built for this platform: Pillow decodes all
    simplejpeg = None

# Once per process, as filters are not per thread. Metadata that Pillow warns of does no harm; size is checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

RGBArray = NDArray[np.uint8]  # [H, W, 3]
ImageInput = str | Path | bytes | BinaryIO | Image.Image | NDArray[Any]  # or a torch tensor: see inference/inputs.py

# Only formats that Pillow decodes itself: its EPS reader would start an interpreter. `preinit` loads the first five;
# for an image in one of them, Pillow does not load its forty other decoders.
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
DECODERS = f"pillow {PIL.__version__}, simplejpeg {getattr(simplejpeg, '__version__', None)}"
MAX_PIXELS = 89_478_485  # Pillow's own limit for a warning
REDUCTIONS = (8, 4, 2, 1)  # libjpeg-turbo decodes these faster than the full size
APP1, START_OF_SCAN = 0xE1, 0xDA  # EXIF and XMP are in APP1
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive


class Header(NamedTuple):
    """Format in Pillow's words, size as stored, and EXIF orientation (1: upright) of an image file."""

    format: str
    width: int
    height: int
    orientation: int


class Box(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: RGBArray) -> RGBArray:
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright RGB image, of Pillow or numpy.

    header     of the file; None for an image that came decoded, and for a crop
    complaint  of a strict decoder about a file that a lenient one accepts; "" where neither complains
    """

    content: Image.Image | RGBArray
    header: Header | None = None
    complaint: str = ""

    @property
    def image(self) -> Image.Image:
        return self.content if isinstance(self.content, Image.Image) else Image.fromarray(self.content)

    @property
    def array(self) -> RGBArray:
        return np.asarray(self.content)


def decode(
    source: str | Path | bytes | Image.Image,
    *,
    fast: bool = False,
    crop: Callable[[int, int], Box] | None = None,
    min_size: int = 0,
) -> Decoded:
    """A path, the bytes of a file or a Pillow image, decoded. Raises ImageError.

    fast      use simplejpeg where it decodes as Pillow does
    crop      the needed box, for (height, width)
    min_size  a crop may be reduced by 2, 4 or 8 to at least this width and height; 0: full size
    """
    if isinstance(source, Image.Image):
        with _naming(None):
            return Decoded(_cropped(_to_rgb(source), crop))
    complaint = ""
    if isinstance(source, bytes) and (fast or min_size) and (size := upright_jpeg(source)) is not None:
        if crop is not None:
            return Decoded(_decode_crop(source, size, crop(*size), min_size))
        if simplejpeg is not None:
            try:
                return Decoded(simplejpeg.decode_jpeg(source), Header("JPEG", size[1], size[0], 1))
            except ValueError as error:  # damaged: how badly is for Pillow to say, which fills small holes with gray
                complaint = str(error)
    with _naming(source), _opened(source) as image:
        # Before it is decoded: Pillow turns a TIFF while it decodes, and forgets that it did.
        header = _header(image)
        return Decoded(_cropped(_to_rgb(image), crop), header, complaint)


def read_header(data: bytes) -> Header:
    """The header of an image file; nothing is decoded. Raises ImageError."""
    with _naming(data), _opened(data) as image:
        return _header(image)


def _cropped(image: Image.Image, crop: Callable[[int, int], Box] | None) -> Image.Image | RGBArray:
    return image if crop is None else crop(image.height, image.width).of(np.asarray(image))


def _decode_crop(data: bytes, size: tuple[int, int], box: Box, min_size: int) -> RGBArray:
    """A box of an upright JPEG of this height and width, reduced where allowed and simplejpeg is installed."""
    by = next((by for by in REDUCTIONS if min_size and min(box.height, box.width) >= by * min_size), 1)
    box = Box(*(length - length % by for length in box))  # onto the pixels of the reduced image
    if simplejpeg is not None:
        try:
            height, width = (-(-length // by) for length in size)
            reduced = simplejpeg.decode_jpeg(data, min_height=height, min_width=width)
            return Box(*(length // by for length in box)).of(reduced)
        except ValueError:
            pass  # damaged: how badly is for Pillow to say
    return box.of(decode(data).array)


def upright_jpeg(data: bytes) -> tuple[int, int] | None:
    """Height and width of an upright gray or color JPEG of 8 bits, from its header; None for every other file."""
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
            if bits != 8 or components not in (1, 3) or not 0 < height * width <= MAX_PIXELS:
                return None
            size = height, width
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _upright(data: bytes) -> bool:
    """Whether neither EXIF nor XMP rotates the image."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)
    except Exception:  # broken EXIF: for Pillow's path to ignore
        return False


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[Image.Image]:
    """An open file of an allowed size, not decoded yet."""
    Image.preinit()
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as file:
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            empty = file.seek(0, os.SEEK_END) == 0
            raise ImageError(None, "is empty" if empty else "is not an image in a format that is read here") from None
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            yield image


def _header(image: Image.Image) -> Header:
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF
        orientation = 1
    return Header(image.format or "", image.width, image.height, orientation if orientation in range(2, 9) else 1)


@contextmanager
def _naming(source: str | Path | bytes | None) -> Iterator[None]:
    """Any fault inside, as an ImageError with the path of the image."""
    path = source if isinstance(source, str | Path) else None
    try:
        yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = MAX_PIXELS // 1_000_000
        raise HugeImage(path, f"has more than {limit} million pixels; reduce it before use") from None
    except ImageError as error:
        raise type(error)(path, error.reason) from None
    except FileNotFoundError:
        raise ImageError(path, "does not exist") from None
    except IsADirectoryError:
        raise ImageError(path, "is a folder, not an image") from None
    except PermissionError:
        raise ImageError(path, "may not be read: permission denied") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes
        if isinstance(error, OSError) and error.errno is not None:  # it is the system's, not a decoder's
            raise ImageError(path, f"could not be read: {os_error_reason(error)}") from None
        raise DamagedImage(path, f"is damaged: {str(error) or type(error).__name__}") from None


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
