"""From files to batches: fast decoding changes no image's meaning, workers no order."""

import io
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.data import find_split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.loader import choose_workers, load_batches
from inceptorch.errors import DamagedImage, HugeImage, ImageError
from inceptorch.images import decode as decoding
from inceptorch.images.decode import Box, RGBArray, decode, upright_jpeg
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.normalize import Normalize
from inceptorch.training.recipe import Recipe, with_values
from tests.conftest import COLORS, hear_ctrl_c

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


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
def test_scaling_is_the_contracts_arithmetic_in_any_layout_and_changes_nothing_given(
    channels: Literal["rgb", "bgr", "gray"],
) -> None:
    pixels = default_preprocessing(16, channels)
    crops = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    ordered = {"rgb": crops, "bgr": crops.flip(1), "gray": None}[channels]
    if ordered is None:
        ordered = (crops * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (pixels.mean, pixels.std))
    for given in (crops, crops.contiguous(memory_format=torch.channels_last), crops.float()):
        before = given.clone()
        torch.testing.assert_close(Normalize(pixels)(given), (ordered - mean) / std)
        assert torch.equal(given, before)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_and_are_the_same_from_any_process(images: Path, recipe: Recipe, workers: int) -> None:
    split = find_split(images, list(COLORS), "train")
    data = AugmentedDataset(
        split,
        default_preprocessing(16),
        with_values(recipe, {"color_jitter": 0.3, "auto_augment": "trivial"}).augmentation,
        seed=1,
    )
    order = [[3, 30, 7], [0], [35, 1, 2, 4]]
    for (tensors, labels, indices), batch in zip(load_batches(data, order, workers), order, strict=True):
        assert indices.tolist() == batch
        assert labels.tolist() == [split.labels[index] for index in batch]
        assert torch.equal(tensors, torch.stack([data[index][0] for index in batch]))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_image_that_goes_during_training_is_named(images: Path, recipe: Recipe, workers: int) -> None:
    data = AugmentedDataset(
        find_split(images, list(COLORS), "train"), default_preprocessing(16), recipe.augmentation, seed=0
    )
    gone = images / "train" / "red" / "03.png"
    gone.unlink()
    with pytest.raises(ImageError, match=rf"^{gone} could not be read: no such file or directory\.$") as caught:
        list(load_batches(data, [list(range(len(data)))], workers))
    assert (caught.value.path, caught.value.reason) == (str(gone), "could not be read: no such file or directory")


@pytest.mark.parametrize("kind", [ImageError, DamagedImage, HugeImage])
@pytest.mark.parametrize("path", ["a.jpg", None])
def test_an_error_of_an_image_is_the_same_in_another_process(kind: type[ImageError], path: str | None) -> None:
    error = kind(path, "is empty")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.path, again.reason) == (kind, path, "is empty")
    assert str(again) == str(error) == f"{path or 'An image'} is empty."


ENDLESS = """
    from pathlib import Path
    from inceptorch.data import find_split
    from inceptorch.data.loader import load_batches
    from inceptorch.data.augment import AugmentedDataset
    from inceptorch.images.preprocessing import default_preprocessing
    from inceptorch.data.augmentation import AugmentationConfig
    from inceptorch.training.signals import GracefulShutdown
    split = find_split(Path({images!r}), ["blue", "green", "red"], "train")
    data = AugmentedDataset(split, default_preprocessing(16), AugmentationConfig(), 0)
    batches = load_batches(data, [[0, 1, 2]] * 100000, {workers})
    next(batches)
"""


def begin(images: Path, workers: int, then: str) -> "subprocess.Popen[str]":
    """A process that loads images and then does `then`, once it has said that it is going."""
    script = textwrap.dedent(ENDLESS.format(images=str(images), workers=workers)) + textwrap.dedent(then)
    going = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    assert going.stdout is not None
    assert going.stdout.readline() == "going\n"
    return going


def after_ctrl_c(images: Path, workers: int, then: str) -> tuple[str, str]:
    """What it writes after Ctrl-C to it and its workers alike."""
    going = begin(images, workers, then)
    os.killpg(going.pid, signal.SIGINT)  # as a terminal does
    return going.communicate(timeout=60)  # which waits until no process holds the pipes


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_ends_loading_with_no_process_left(images: Path, workers: int) -> None:
    then = """
        print("going", flush=True)
        for _ in batches:
            pass
    """
    _, errors = after_ctrl_c(images, workers, then)
    assert errors.count("KeyboardInterrupt") == 1
    assert "DataLoader worker" not in errors


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_workers_end_with_a_parent_that_is_killed(images: Path, start: str) -> None:
    then = f"""
        import signal, torch.multiprocessing
        torch.multiprocessing.set_start_method({start!r}, force=True)
        batches = load_batches(data, [[0, 1, 2]] * 100000, 2)
        next(batches)
        print("going", flush=True)
        signal.pause()
    """
    going = begin(images, 0, then)
    going.kill()
    said, errors = going.communicate(timeout=60)  # which waits until no process holds the pipes
    assert said == ""
    assert "Traceback" not in errors


def test_workers_go_on_where_the_parent_puts_ctrl_c_off(images: Path) -> None:
    """As training does, until the step under way is done."""
    then = """
        with GracefulShutdown() as stopping:
            print("going", flush=True)
            while not stopping.requested_signal:
                next(batches)
            for _ in range(20):
                next(batches)
        print("twenty more")
    """
    assert after_ctrl_c(images, 2, then) == ("twenty more\n", "")


@pytest.mark.parametrize(
    ("loading", "step", "spare", "workers"),
    [
        (0.010, 1.0, 8, 0),  # negligible
        (0.100, 1.0, 8, 1),
        (1.000, 1.0, 8, 2),
        (3.000, 1.0, 8, 4),
        (3.000, 1.0, 2, 2),  # as many as there are cores
        (3.000, 1.0, 0, 0),
        (0.000, 0.0, 8, 0),
    ],
)
def test_as_many_workers_as_keep_the_network_fed(loading: float, step: float, spare: int, workers: int) -> None:
    assert choose_workers(loading, step, spare) == workers
