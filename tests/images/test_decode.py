"""From a file to upright RGB pixels."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import ImageError
from inceptorch.images.decode import decode, read_header
from tests.helpers import png

COARSE = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
PHOTO = Image.fromarray(COARSE).resize((80, 60), Image.Resampling.BICUBIC)


def saved(image: Image.Image, path: Path, **options: Any) -> np.ndarray:
    image.save(path, **options)
    return decode(path).array.astype(int)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "gif", "webp", "jpg", "jp2", "avif"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix in ("jpg", "avif") else {}
    pixels = saved(PHOTO, tmp_path / f"a.{suffix}", **options)
    assert pixels.shape == (60, 80, 3)
    lossy = {"jpg": 4, "avif": 4, "gif": 24}.get(suffix, 0)
    assert np.abs(pixels - np.asarray(PHOTO)).mean() <= lossy


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.asarray(PHOTO)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = saved(Image.fromarray(np.ascontiguousarray(stored)), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels, upright)


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PHOTO.save(path, exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xffgarbage")
    assert decode(path).image.size == PHOTO.size


def test_grayscale_is_repeated(tmp_path: Path) -> None:
    gray = PHOTO.convert("L")
    pixels = saved(gray, tmp_path / "a.png")
    for channel in range(3):
        np.testing.assert_array_equal(pixels[..., channel], np.asarray(gray))
    assert set(np.unique(saved(PHOTO.convert("1"), tmp_path / "b.png"))) == {0, 255}


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bits_give_their_high_byte(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    pixels = saved(Image.fromarray(values), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(pixels[..., 0], [[0, 0, 1], [128, 255, 255]])
    assert (pixels == pixels[..., :1]).all()


def test_16_bit_pgm_and_32_bit_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">2H", 256, 65535))
    assert decode(tmp_path / "a.pgm").array[0, :, 0].tolist() == [1, 255]
    values = np.array([[-5, 512, 100_000]], np.int32)
    assert saved(Image.fromarray(values), tmp_path / "b.tiff")[0, :, 0].tolist() == [0, 2, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    clear.putpixel((1, 1), (10, 10, 10, 255))
    pixels = saved(clear.convert(mode), tmp_path / "a.png")
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [10, 10, 10]


def test_palette_is_looked_up(tmp_path: Path) -> None:
    flat = Image.new("RGB", (8, 8), (200, 30, 40))
    assert saved(flat.convert("P", palette=Image.Palette.ADAPTIVE), tmp_path / "a.png")[0, 0].tolist() == [200, 30, 40]


def test_cmyk(tmp_path: Path) -> None:
    pixels = saved(Image.new("RGB", (16, 16), (250, 250, 250)).convert("CMYK"), tmp_path / "a.jpg", quality=95)
    assert pixels.min() > 240


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert decode(tmp_path / "a.gif").image.getpixel((0, 0)) == (255, 0, 0)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg").array, np.asarray(PHOTO))


def test_faults_have_a_sentence(tmp_path: Path) -> None:
    whole = io.BytesIO()
    PHOTO.save(whole, "JPEG")
    float_image = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(float_image, "TIFF")
    bomb = png(30_000, 30_000, b"\0")
    assert len(bomb) < 200
    for data, sentence in [
        (b"", "is empty"),
        (b"dear diary", "not an image"),
        (whole.getvalue()[: len(whole.getvalue()) // 2], "damaged: .*[Tt]runcated"),
        (png(64, 64, b"\0\1\2"), "damaged"),
        (bomb, "more than 89 million pixels"),
        (float_image.getvalue(), "floating point"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ]:
        with pytest.raises(ImageError, match=sentence):
            decode(data)
    for path, sentence in [(tmp_path / "none.jpg", "does not exist"), (tmp_path, "is a folder")]:
        with pytest.raises(ImageError, match=sentence):
            decode(path)


def test_the_size_is_read_without_decoding() -> None:
    header = read_header(png(300, 200, b"not that many pixels"))
    assert (header.width, header.height) == (300, 200)
    with pytest.raises(ImageError, match="more than 89 million pixels"):
        read_header(png(30_000, 30_000, b""))
    with pytest.raises(ImageError, match="is not an image"):
        read_header(b"text")
