"""From an image file to upright RGB pixels:

    rotation    EXIF orientation is applied; broken EXIF is ignored
    grayscale   repeated into three channels
    16 bits     the high byte, as the PNG standard reduces depth; 12 bits in a TIFF likewise the highest 8
    white is 0  turned around, as some TIFF count the darkness
    alpha       laid over white
    palette     looked up, with its transparency
    CMYK        converted without its color profile
    animation   the first frame
    float, and integers with a sign or of 32 bits: refused, as there is no agreed range

Most images are upright gray or color JPEG of 8 bits, which all decoders built on libjpeg-turbo decode alike. Where
speed counts, such a file goes to simplejpeg, which is faster than Pillow and can decode to a smaller size.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from inceptorch.errors import DamagedImage, HugeImage, ImageError
from inceptorch.images.limits import (
    MAX_PIXELS,
    MAX_SEGMENTS,
    START_OF_SCAN,
    BoundedReader,
    check_work,
    jpeg_segments,
    read_image_file,
)
from inceptorch.utils.files import os_error_reason

try:
    import simplejpeg
except ImportError:  # not built for this platform: Pillow decodes all
    simplejpeg = None

# Once per process, as filters are not per thread. Metadata that Pillow warns of does no harm; size is checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # otherwise its errors go to standard error

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
        ".heic",
        ".heif",
        ".hif",
    ]
)
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
DECODERS = f"pillow {PIL.__version__}, simplejpeg {getattr(simplejpeg, '__version__', None)}"
REDUCTIONS = (8, 4, 2, 1)  # libjpeg-turbo decodes these faster than the full size
APP1 = 0xE1  # of JPEG, with EXIF and XMP
FRAMES = (0xC0, 0xC1, 0xC2)  # of JPEG: baseline, extended, progressive
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # of TIFF
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what brings an image of this EXIF orientation upright


class Header(NamedTuple):
    """Format in Pillow's words, size as stored, EXIF orientation (1: upright) and bits per channel of an image file."""

    format: str
    width: int
    height: int
    orientation: int = 1
    bits: int = 8


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
    def low_bits(self) -> str:
        """A phrase about an image with 16 bits per channel of which it uses at most 12, so that it looks black; "" for
        all others."""
        if self.header is None or self.header.bits != 16 or (highest := int(self.array.max())) >= 16:
            return ""
        return f"uses {highest} of 255 levels, as if it held values of 12 bits or fewer"

    @property
    def image(self) -> Image.Image:
        return self.content if isinstance(self.content, Image.Image) else Image.fromarray(self.content)

    @property
    def array(self) -> RGBArray:
        return np.asarray(self.content)


def describe_low_bits(count: int, total: int, example: str) -> str:
    """The sentence about `count` of `total` images with `low_bits`."""
    return (
        f"{count} of {total} images have 16 bits and use only their lowest 12 or fewer, so that they look black: "
        f"{example}. Try multiplying their values by 16."
    )


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
    with _naming(source):
        data = source if isinstance(source, bytes) else read_image_file(source)
        check_work(data)
        complaint = ""
        if isinstance(source, bytes) and (fast or min_size) and (size := upright_jpeg(data)) is not None:
            if crop is not None:
                return Decoded(_decode_crop(data, size, crop(*size), min_size))
            if simplejpeg is not None:
                try:
                    return Decoded(simplejpeg.decode_jpeg(data), Header("JPEG", size[1], size[0]))
                except ValueError as error:
                    # Damaged: how badly is for Pillow to say, which fills small holes with gray.
                    complaint = str(error)
        with _opened(data) as image:
            header = _header(image)  # as stored
            # A TIFF's orientation is known before it is loaded, when Pillow turns it; a PNG's only afterwards.
            orientation = _orientation(image) if image.format == "TIFF" else 1
            scaled = image.mode in ("L", "I", "RGB") and image.tile and image.tile[0][0] == "ppm"
            content = _cropped(_to_rgb(_scaled_ppm(image, data) if scaled else image), crop)
            return Decoded(content, header._replace(orientation=max(orientation, _orientation(image))), complaint)


def decode_alpha(source: str | Path | bytes | Image.Image) -> Image.Image | None:
    """The opacity of an image in mode L, upright; None where all of it is opaque. Raises ImageError."""
    with _naming(None if isinstance(source, Image.Image) else source):
        if isinstance(source, Image.Image):
            return _alpha(source)
        data = source if isinstance(source, bytes) else read_image_file(source)
        check_work(data)
        with _opened(data) as image:
            return _alpha(image)


def read_header(data: bytes) -> Header:
    """The header of an image file, but for its orientation; nothing is decoded. Raises ImageError."""
    with _naming(data):
        check_work(data)
        with _opened(data) as image:
            return _header(image)


def read_oriented_header(data: bytes) -> Header:
    """The header of an image file with its size as stored and its orientation. Raises ImageError."""
    size = upright_jpeg(data)
    if size is not None:
        return Header("JPEG", size[1], size[0])
    with _naming(data):
        check_work(data)
        with _opened(data) as image:
            header = _header(image)
            # Pillow decodes a PNG to find its orientation.
            if image.format == "PNG" and b"eXIf" not in data and b"Raw profile type" not in data:
                return header
            orientation = _orientation(image)
            if image.format == "TIFF" and orientation > 4:  # Pillow gives the size of the upright image
                header = header._replace(width=header.height, height=header.width)
            return header._replace(orientation=orientation)


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
    size, metadata, end = None, False, 2
    for marker, at in islice(jpeg_segments(data), MAX_SEGMENTS):
        if at != end + 2:
            return None  # there is something between the segments
        if marker == START_OF_SCAN:
            return size if not metadata or _upright(data) else None
        metadata |= marker == APP1
        if marker in FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data.ljust(at + 8), at + 2)
            if bits != 8 or components not in (1, 3) or not 0 < height * width <= MAX_PIXELS:
                return None
            size = height, width
        end = at + int.from_bytes(data[at : at + 2])
    return None


def _upright(data: bytes) -> bool:
    """Whether neither EXIF nor XMP rotates the image."""
    try:
        with Image.open(BoundedReader(data), formats=("JPEG",)) as image:
            return bool(image.getexif().get(ExifTags.Base.Orientation, 1) == 1)
    except Exception:  # broken EXIF: for Pillow's path to ignore
        return False


@contextmanager
def _opened(data: bytes) -> Iterator[ImageFile.ImageFile]:
    """An open file of an allowed size, not decoded yet."""
    Image.preinit()
    is_heif = data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS
    formats = (*FORMATS, "HEIF") if is_heif and _has_heif() else FORMATS
    try:
        image = Image.open(BoundedReader(data), formats=formats)
    except UnidentifiedImageError:
        if is_heif and formats is FORMATS:
            raise ImageError(
                None, "is a HEIC image; install its decoder with: pip install 'inceptorch[heif]'"
            ) from None
        raise ImageError(None, "is not an image in a format that is read here" if data else "is empty") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        yield image


def _has_heif() -> bool:
    """Register the decoder of HEIC images with Pillow, if it is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True


def _header(image: ImageFile.ImageFile) -> Header:
    """The header of an image that is not loaded yet, but for its orientation."""
    deep = image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)
    return Header(image.format or "", image.width, image.height, bits=16 if deep else 8)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation. Of a PNG it is known when it is loaded."""
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF is common and says nothing about the pixels
        return 1
    return orientation if orientation in UPRIGHT else 1


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
    except MemoryError:
        raise ImageError(path, "needs more memory than there is") from None
    except PermissionError:
        raise ImageError(path, "may not be read: permission denied") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes
        if isinstance(error, OSError) and error.errno is not None:  # it is the system's, not a decoder's
            raise ImageError(path, f"could not be read: {os_error_reason(error)}") from None
        raise DamagedImage(path, f"is damaged: {str(error) or type(error).__name__}") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    """An image, loaded, upright and in mode RGB."""
    if image.width < 1 or image.height < 1:
        raise ImageError(None, "has no pixels")
    if image.mode == "F":
        raise ImageError(None, "has floating point pixels, which have no agreed range; save it with 8 or 16 bits")
    if image.mode == "I" and image.format != "PPM":
        raise ImageError(None, "has integers with a sign or of 32 bits, without an agreed range; save it with 16 bits")
    # Once, and outside of any handler: after a decoder's error, a second time would give black pixels.
    image.load()
    orientation = _orientation(image)
    if image.mode.startswith("I"):
        image = _reduced_to_8_bits(image)
    elif image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")  # a copy
    if orientation > 1:
        image = image.transpose(UPRIGHT[orientation])
    image.info = {}  # it is upright now, whatever the file said: it may be decoded once more
    return image


def _alpha(image: Image.Image) -> Image.Image | None:
    if not image.has_transparency_data or image.mode.startswith("I"):
        return None
    image.load()
    alpha = (image.convert("LA") if image.mode == "La" else image).convert("RGBA").getchannel("A")
    if alpha.getextrema() == (255, 255):
        return None
    orientation = _orientation(image)
    return alpha.transpose(UPRIGHT[orientation]) if orientation > 1 else alpha


def _reduced_to_8_bits(image: Image.Image) -> Image.Image:
    """A grayscale image of 16 bits, or of 12 in a TIFF, in mode L."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_PER_SAMPLE, (16,))[0]
    values = np.asarray(image)
    gray = (values >> (bits - 8)).astype(np.uint8)
    if tags and tags.get(PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO:
        gray = 255 - gray
    if "transparency" in image.info:
        gray[values == image.info["transparency"]] = 255
    return Image.fromarray(gray)


def _scaled_ppm(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """A binary PGM or PPM with another highest value than 255, as Pillow decodes it, which takes a second for each
    million values."""
    offset, args = image.tile[0][2:]
    highest, deep = int(args[1]), image.mode == "I"  # type: ignore[index]  # of this decoder
    channels = len(image.getbands())
    levels = (np.arange(highest + 1) / highest * (65535 if deep else 255)).round().astype(np.uint16) >> 8 * deep
    values = np.frombuffer(data, ">u2" if highest > 255 else "u1", image.height * image.width * channels, offset)
    pixels = levels.astype(np.uint8)[np.minimum(values, highest)].reshape(image.height, image.width, channels)
    return Image.fromarray(pixels if channels > 1 else pixels[..., 0])
