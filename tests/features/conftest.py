"""A classifier of three layers, and two folders of images."""

from pathlib import Path

import pytest
import torch

from inceptorch.classifier.classifier import Classifier
from inceptorch.images.preprocessing import Preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from tests.features.helpers import write_images


@pytest.fixture
def classifier(tiny: NetworkSpec) -> Classifier:
    torch.manual_seed(0)
    pixels = Preprocessing(16, 16, mean=(100.0, 110.0, 120.0), std=(60.0, 50.0, 40.0))
    return Classifier.of(Model(tiny, 12, size=16).eval(), pixels, [f"class {number}" for number in range(12)])


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    return write_images(tmp_path / "generated", 30, seed=1)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return write_images(tmp_path / "real", 26, seed=2)
