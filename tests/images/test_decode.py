"""From a file to upright RGB pixels."""

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import DamagedImage, ImageError
from inceptorch.images.decode import decode, read_header, read_oriented_header
from tests.helpers import encoded, png, tiff

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
    np.testing.assert_array_equal(decode(decode(tmp_path / "a.png").image).array, upright)  # not turned once more


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


def test_gray_of_12_and_16_bits_and_white_that_is_zero() -> None:
    deep, packed = struct.pack("<4H", 0, 255, 256, 65535), bytes([0x00, 0x00, 0x10, 0xFF, 0xF8, 0x00])
    for data, expected in [
        (b"P5 4 1 65535\n" + struct.pack(">4H", 0, 255, 256, 65535), [0, 0, 1, 255]),
        (tiff(4, 1, deep, bits=16), [0, 0, 1, 255]),
        (tiff(4, 1, deep, bits=16, photometric=0), [255, 255, 254, 0]),
        (tiff(4, 1, bytes([0, 1, 9, 255]), bits=8, photometric=0), [255, 254, 246, 0]),
        (tiff(4, 1, packed, bits=12), [0, 1, 255, 128]),
    ]:
        assert decode(data).array[0, :, 0].tolist() == expected
        with Image.open(io.BytesIO(data)) as opened:
            assert decode(opened).array[0, :, 0].tolist() == expected


def test_integers_without_an_agreed_range_are_refused() -> None:
    values = np.array([[-5, 512, 100_000]], np.int32)
    sources: list[bytes | Image.Image] = [
        Image.fromarray(values),
        encoded(Image.fromarray(values), "TIFF"),
        tiff(3, 1, struct.pack("<3I", 0, 2**31, 2**32 - 1), bits=32),
        tiff(3, 1, struct.pack("<3h", -5, 0, 5), bits=16, sample_format=2),
    ]
    for source in sources:
        with pytest.raises(ImageError, match="sign or of 32 bits, without an agreed range; save it with 16 bits"):
            decode(source)


@pytest.mark.parametrize("kind", [b"P5", b"P6"])
@pytest.mark.parametrize("highest", [1, 100, 254, 256, 1023, 4095, 65534, 65535])
def test_any_highest_value_of_a_pgm_or_ppm_is_scaled_as_by_pillow(kind: bytes, highest: int) -> None:
    count, sort = 200 if kind == b"P5" else 600, ">u2" if highest > 255 else "u1"
    values = np.random.default_rng(highest).integers(0, highest + 1, count).astype(sort)
    values[:2] = 0, np.iinfo(values.dtype).max  # which may be above the highest
    data = kind + b" 20 10 %d\n" % highest + values.tobytes()
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        theirs = np.asarray(opened) >> 8 if opened.mode == "I" else np.asarray(opened)
    np.testing.assert_array_equal(decode(data).array, np.broadcast_to(theirs.reshape(10, 20, -1), (10, 20, 3)))
    with pytest.raises(DamagedImage):
        decode(data[:-1])


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (120, 120, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG2000", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
    ],
)
@pytest.mark.parametrize("damage", ["foreign bytes", "cut"])
def test_what_pillow_cannot_decode_is_not_read_either(format: str, options: dict[str, Any], damage: str) -> None:
    whole = encoded(NOISE, format, **options)
    middle = len(whole) // 2
    data = whole[:middle] + (b"" if damage == "cut" else b"\x55" * 200 + whole[middle + 200 :])
    try:
        with Image.open(io.BytesIO(data)) as opened:
            theirs = np.asarray(opened.convert("RGB"))
    except (OSError, EOFError):
        with pytest.raises(ImageError):
            decode(data)
    else:  # some decoders do not notice
        np.testing.assert_array_equal(decode(data).array, theirs)


def test_a_damaged_pillow_image_is_refused_too() -> None:
    data = encoded(NOISE, "PNG")
    middle = len(data) // 2
    damaged = io.BytesIO(data[:middle] + bytes(200) + data[middle + 200 :])
    with Image.open(damaged) as opened, pytest.raises(DamagedImage, match="broken data stream"):
        decode(opened)


def test_the_orientation_of_a_png_may_follow_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(PHOTO, "PNG", exif=exif)
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    for each in (data, moved):
        decoded = decode(each)
        assert decoded.header is not None
        assert decoded.header.orientation == 6
        np.testing.assert_array_equal(decoded.array, np.rot90(np.asarray(PHOTO), -1))


def test_16_bits_of_which_few_are_used_are_noticed() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    for format in ("PNG", "TIFF"):
        assert decode(encoded(Image.fromarray(values), format)).low_bits
        assert not decode(encoded(Image.fromarray(values * 16), format)).low_bits
        assert not decode(encoded(Image.fromarray((values // 256).astype(np.uint8)), format)).low_bits


def test_a_16_bit_png_may_have_a_transparent_value() -> None:
    data = encoded(Image.fromarray(np.array([[0, 300, 301]], np.uint16)), "PNG", transparency=300)
    assert decode(data).array[0, :, 0].tolist() == [0, 255, 1]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    clear.putpixel((1, 1), (10, 10, 10, 255))
    pixels = saved(clear.convert(mode), tmp_path / "a.png")
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [10, 10, 10]


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha_is_laid_over_white_too(mode: str) -> None:
    half = Image.new("LA", (1, 1), (100, 51)).convert("La" if mode == "La" else "RGBA").convert(mode)
    assert decode(half).array[0, 0].tolist() == [224, 224, 224]


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


def test_pillow_logs_nothing_of_its_own_to_standard_error() -> None:
    one, many = (struct.pack("<HHII", 277, 4, 1, samples) for samples in (1, 65535))
    data = tiff(4, 1, bytes(4), bits=8).replace(one, many)
    script = f"from inceptorch.images.decode import decode\ntry: decode({data!r})\nexcept Exception as e: print(e)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("An image is not an image in a format that is read here.\n", "")


HEIC = b"\0\0\0\x18ftypheic" + bytes(100)


def test_a_heic_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for brand in (b"heic", b"mif1"):
        with pytest.raises(ImageError, match=r"is a HEIC image; install .*: pip install 'inceptorch\[heif\]'"):
            decode(HEIC.replace(b"heic", brand))
    with pytest.raises(ImageError, match="is not an image"):
        decode(HEIC.replace(b"heic", b"mp42"))


def test_a_heic_image_is_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    heif.from_pillow(PHOTO).save(tmp_path / "a.heic", quality=-1, chroma=444, exif=exif.tobytes())
    decoded = decode(tmp_path / "a.heic")
    assert decoded.header is not None
    assert decoded.header.format == "HEIF"
    assert np.abs(decoded.array.astype(int) - np.rot90(np.asarray(PHOTO), -1)).mean() < 2
    whole = (tmp_path / "a.heic").read_bytes()
    with pytest.raises(ImageError, match="damaged|not an image"):
        decode(whole[: len(whole) // 2])


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


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_header_has_the_orientation_if_asked(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (40, 30))
    for options, orientation in (({}, 1), ({"exif": exif}, 6)):
        header = read_oriented_header(encoded(image, format, **options))
        assert header[:4] == (format, 40, 30, orientation)
    with pytest.raises(ImageError, match="is not an image in a format that is read here"):
        read_oriented_header(b"text")


def test_cmyk_with_another_highest_value_is_scaled_by_pillow() -> None:
    data = b"P0CMYK\n20 10 100\n" + np.random.default_rng(0).integers(0, 101, 800, dtype=np.uint8).tobytes()
    with Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(decode(data).array, np.asarray(opened.convert("RGB")))


def test_a_header_says_whether_there_is_transparency() -> None:
    opaque, clear = Image.new("RGB", (4, 4)), Image.new("RGBA", (4, 4))
    assert not read_header(encoded(opaque, "PNG")).transparent
    assert not read_header(encoded(opaque, "JPEG")).transparent
    assert read_header(encoded(clear, "PNG")).transparent
    assert read_header(encoded(opaque, "PNG", transparency=(0, 0, 0))).transparent
