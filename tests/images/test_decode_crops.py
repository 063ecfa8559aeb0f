"""Fast decoding changes no image."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import ImageError
from inceptorch.images import decode as decoding
from inceptorch.images.decode import Box, RGBArray, decode, upright_jpeg
from tests.training.helpers import Patches


@pytest.fixture
def data() -> tuple[Patches, Patches]:
    return Patches(36, 1), Patches(12, 2)


BOX = Box(16, 32, 176, 128)


def photograph() -> Image.Image:
    """Smooth with edges and some noise, 300 wide and 201 high."""
    y, x = np.mgrid[0:201, 0:300]
    colors = np.stack([x * 255 / 300, y * 255 / 201, 127 + 100 * np.sin(x / 9 + y / 7)], 2)
    colors[60:140, 90:200] = (220, 60, 30)
    noise = np.random.default_rng(0).normal(0, 4, colors.shape)
    return Image.fromarray(np.clip(colors + noise, 0, 255).astype(np.uint8))


def saved(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


XMP = b'<x:xmpmeta><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'


PHOTOGRAPH = photograph()


FILES = {
    "plain": (saved(PHOTOGRAPH, quality=90), True),
    "no subsampling": (saved(PHOTOGRAPH, quality=90, subsampling=0), True),
    "progressive": (saved(PHOTOGRAPH, quality=90, progressive=True), True),
    "gray": (saved(PHOTOGRAPH.convert("L"), quality=90), True),
    "upright by EXIF": (saved(PHOTOGRAPH, exif=turned(1)), True),
    "turned by EXIF": (saved(PHOTOGRAPH, exif=turned(6)), False),
    "turned by XMP": (saved(PHOTOGRAPH, xmp=XMP), False),
    "broken EXIF": (saved(PHOTOGRAPH, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), True),
    "RGB in JPEG": (saved(PHOTOGRAPH, keep_rgb=True), True),
    "CMYK": (saved(PHOTOGRAPH.convert("CMYK")), False),
    "PNG": (saved(PHOTOGRAPH, "PNG"), False),
    "transparent": (saved(PHOTOGRAPH.convert("RGBA"), "PNG"), False),
    "WebP": (saved(PHOTOGRAPH, "WEBP"), False),
}


@pytest.fixture(params=["simplejpeg", "pillow"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the decoders in turn."""
    name: str = request.param
    if name == "pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    else:
        pytest.importorskip("simplejpeg")
    return name


def part(data: bytes, box: Box = BOX, side: int = 1000) -> RGBArray:
    return decode(data, crop=lambda height, width: box, min_size=side).array


@pytest.mark.parametrize("name", FILES)
def test_every_file_means_what_the_pixel_contract_says(decoder: str, name: str) -> None:
    file, fast = FILES[name]
    assert (upright_jpeg(file) is not None) == fast
    sizes = []

    def choose(height: int, width: int) -> Box:
        sizes.append((width, height))
        return BOX

    assert np.array_equal(decode(file, crop=choose, min_size=1000).array, BOX.of(decode(file).array))
    assert sizes == [decode(file).image.size]


@pytest.mark.parametrize(("side", "by"), [(129, 1), (128, 1), (65, 1), (64, 2), (33, 2), (32, 4), (16, 8), (3, 8)])
@pytest.mark.parametrize("name", ["plain", "no subsampling", "progressive", "gray"])
def test_a_reduced_part_is_the_same_part(name: str, side: int, by: int) -> None:
    pytest.importorskip("simplejpeg")
    file = FILES[name][0]
    reduced = part(file, side=side)
    assert reduced.shape == (BOX.height // by, BOX.width // by, 3)
    plain = Image.fromarray(BOX.of(decode(file).array)).reduce(by)
    assert np.abs(reduced.astype(int) - np.asarray(plain)).mean() < 1.5


def test_boxes_move_onto_the_reduced_pixels_whatever_decodes(decoder: str) -> None:
    file = FILES["plain"][0]
    by_decoder = {"simplejpeg": (88, 64, 3), "pillow": (176, 128, 3)}
    moved = part(file, Box(17, 33, 177, 129), side=60)
    assert moved.shape == by_decoder[decoder]
    assert np.array_equal(moved, part(file, Box(16, 32, 176, 128), side=60))


def test_crops_of_a_real_photograph_are_those_of_pillow(shared: Path, decoder: str) -> None:
    photo = Image.open(shared / "photos" / "000b7d55b6184b08.png").convert("RGB")
    file = saved(photo, quality=90)
    for side, tolerance in ((224, 0.0), (112, 2.0), (56, 2.0), (28, 2.0)):
        box = Box(16, 24, 240, 232)
        got = Image.fromarray(part(file, box, side)).resize((side, side), Image.Resampling.BILINEAR)
        plain = Image.fromarray(box.of(decode(file).array)).resize((side, side), Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(got).astype(int) - np.asarray(plain)).mean() <= tolerance


@pytest.mark.parametrize("kept", [2, 20, 300, 0.5, 0.99])
def test_a_damaged_file_is_pillows_to_evaluate(decoder: str, kept: float) -> None:
    file = FILES["plain"][0]
    with pytest.raises(ImageError):
        part(file[: int(kept if kept > 1 else kept * len(file))])


def test_a_image_that_claims_too_many_pixels_is_refused_from_its_header(decoder: str) -> None:
    file = bytearray(FILES["plain"][0])
    frame = file.index(b"\xff\xc0")
    file[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    assert upright_jpeg(bytes(file)) is None
    with pytest.raises(ImageError, match="million pixels"):
        part(bytes(file))
