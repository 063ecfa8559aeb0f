"""What several test modules use, beside the fixtures of conftest.py."""

import io
import struct
import sys
import zlib
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import Metadata
from inceptorch.cli import app, main
from inceptorch.evaluation import Evaluation
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines.timing import random_images
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.networks.detection import DetectionHead, default_levels
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import get_network
from inceptorch.training import Result as TrainResult

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


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def tiff(
    width: int, height: int, data: bytes, *, bits: int, photometric: int = 1, sample_format: int = 1, strips: int = 1
) -> bytes:
    """An uncompressed gray TIFF; several strips are each half of the image, and all the same bytes."""
    rows = height if strips == 1 else height // 2
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (277, 1), (278, rows)]
    tags += [(279, len(data)), (339, sample_format)]
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags]
    where = start if strips == 1 else start + len(data)
    entries.insert(5, struct.pack("<HHII", 273, 4, strips, where))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0\x08\0\0\0" + directory + data + (struct.pack("<I", start) * strips if strips > 1 else b"")


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


def detector_of(
    net: NetworkSpec,
    classes: int = 3,
    width: int = 96,
    height: int = 64,
    depth: int = 1,
    channels: str = "rgb",
    share: float = 0.02,
) -> Classifier:
    """A detector with random weights, for which this share of all places has boxes of middling sizes, of scores that
    differ; other images have other numbers of them."""
    torch.manual_seed(0)
    pixels = default_preprocessing(min(width, height), channels)  # type: ignore[arg-type]
    model = Detector(net, DetectionHead(default_levels(net), width, height, 32, depth), classes, pixels.in_chans).eval()
    detector = Classifier.of(model, pixels, [f"class {number}" for number in range(classes)])  # type: ignore[arg-type]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".norm." in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
        model.scales.copy_(torch.linspace(0.8, 1.2, len(model.scales)))
        outputs = model(detector.prepare(random_images((width, height), 2)))
        for conv, part, scale, shift in (
            (model.classes, outputs[..., :classes], 2.0, 0.0),
            (model.edges, outputs[..., classes:-1], 0.7, 0.7),
            (model.centerness, outputs[..., -1:], 1.0, 1.0),
        ):
            factor = scale / part.std()
            conv.weight.mul_(factor)
            assert conv.bias is not None
            conv.bias.copy_(shift - factor * (part - conv.bias.mean()).mean())
        logits = model(detector.prepare(random_images((width, height), 2)))[..., :classes]
        assert model.classes.bias is not None
        model.classes.bias.sub_(logits.quantile(1 - share) + 4.0)  # where a score is 0.1
    return detector


def detector(classes: Sequence[str] = ("ant", "bee", "cat"), metadata: Metadata | None = None) -> Classifier:
    """A detector on images of 96 x 64 pixels with random weights, which finds some boxes of varied scores anywhere."""
    torch.manual_seed(0)
    net = get_network("googlenet_small")
    model = Detector(net, DetectionHead(default_levels(net), 96, 64, 32, 1), len(classes)).eval()
    with torch.no_grad():
        model.classes.weight.normal_(0, 0.3)
        torch.nn.init.constant_(model.classes.bias, -4)  # type: ignore[arg-type]
    return Classifier.of(cast(Model, model), default_preprocessing(96), classes, metadata)


def by_classes(result: TrainResult) -> Evaluation:
    """The evaluation of a run that trained a classifier."""
    assert isinstance(result.evaluation, Evaluation)
    return result.evaluation


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
