"""What several test modules use, beside the fixtures of conftest.py."""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from typer.testing import CliRunner, Result

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import Metadata
from inceptorch.cli import app, main
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines.timing import random_images
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec

VOID_ELEMENTS = {"meta", "img", "br", "wbr"}


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def sentence(*words: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What `main` says about a mistake, after checking that it is one line on standard error and exit code 2."""
    monkeypatch.setattr(sys, "argv", ["inceptorch", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("inceptorch: ")
    return last


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def classifier_of(net: NetworkSpec, classes: int = 7, size: int | None = None, channels: str = "rgb") -> Classifier:
    """A classifier with random weights and statistics, whose answers tell images apart."""
    torch.manual_seed(0)
    pixels = default_preprocessing(size or net.size, channels)  # type: ignore[arg-type]
    model = Model(net, classes, pixels.in_chans, size=pixels.size).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    classifier = Classifier.of(
        model, pixels, [f"class {number}" for number in range(classes)], Metadata(license="none")
    )
    linear = model.get_classifier()
    logits = classifier.logits(random_images(pixels.size, 2)).numpy()
    spread = float(np.ptp(logits, 0).mean())
    linear.weight.data *= 0.3 / spread
    linear.bias.data -= torch.from_numpy(0.3 * logits.mean(0) / spread)
    return classifier


def scenes(count: int, side: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Images uint8 [side, side, 3], no two alike: smooth random fields with frequencies weighed as in photographs."""
    random = np.random.default_rng(seed)
    at_once = max(1, 2**22 // side**2)
    for start in range(0, count, at_once):
        n = min(at_once, count - start)
        brightness, colors = _field(random, n, side), _field(random, 3 * n, side).reshape(n, 3, side, side)
        contrast = random.uniform(35, 65, (n, 1, 1, 1))
        level = random.uniform(90, 165, (n, 1, 1, 1))
        values = level + contrast * (brightness[:, None] + 0.35 * colors)
        yield from np.clip(values, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _field(random: np.random.Generator, count: int, side: int) -> NDArray[np.float32]:
    """Smooth noise [count, side, side] about 0, with a deviation of 1: octaves, each half as strong as the last."""
    field = np.zeros((count, side, side), np.float32)
    for octave in range(1, 6):
        cells = 2**octave
        at = np.linspace(0, cells, side)
        rise = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells + 1))).astype(np.float32)
        field += rise @ random.standard_normal((count, cells + 1, cells + 1), np.float32) @ rise.T / cells
    flat = field.reshape(count, -1)
    scaled: NDArray[np.float32] = (field - flat.mean(1)[:, None, None]) / flat.std(1)[:, None, None]
    return scaled


def resized(image: Image.Image, share: float) -> Image.Image:
    return image.resize((round(share * image.width), round(share * image.height)), Image.Resampling.BICUBIC)


def compressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return decode(file.getvalue()).image


def brightened(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Without these shares of its sides."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


class ParsedPage(HTMLParser):
    """Elements that are not closed, their names, attributes and text."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
