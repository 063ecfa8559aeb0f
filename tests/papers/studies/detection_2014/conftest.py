"""A few drawn images with boxes, and a network of four convolutions, for the study of detection."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec

BODY = {"a": Conv(8, 3, 2), "b": Conv(16, 3, 2), "c": Conv(32, 3, 2), "d": Conv(32, 3, 2)}
NET = NetworkSpec("four", "four convolutions", "a test", 64, BODY, {"avgpool": GlobalAverage()})


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright rectangles and dark ones on gray, in Pascal VOC's format, divided into train, val and test."""
    root, random = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 3), ("test", 6)):
        (root / split).mkdir()
        for number in range(count):
            image, objects = np.full((96, 128, 3), 128, np.uint8), ""
            for place in range(1 + number % 2):
                left, top = int(random.integers(0, 24)) + 64 * place, int(random.integers(0, 56))
                name, value = (("bright", 230), ("dark", 20))[(number + place) % 2]
                image[top : top + 36, left : left + 32] = value
                objects += f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
                objects += f"<xmax>{left + 32}</xmax><ymax>{top + 36}</ymax></bndbox></object>"
            Image.fromarray(image).save(root / split / f"{number}.png")
            size = "<size><width>128</width><height>96</height></size>"
            text = f"<annotation><filename>{number}.png</filename>{size}{objects}</annotation>"
            (root / split / f"{number}.xml").write_text(text)
    return root


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of that network with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "bundle"
    Classifier.of(Model(NET, 2, size=64), default_preprocessing(64), ["x", "y"]).save(folder)
    return folder
