"""A classifier of three layers in which two units are the same and one is dead, and a folder of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.networks.network import NetworkSpec
from tests.helpers import classifier_of


@pytest.fixture
def planted_units(tiny: NetworkSpec) -> Classifier:
    """Of conv1, unit 5 is twice unit 2, and unit 6 is never active."""
    classifier = classifier_of(tiny, 3)
    conv1 = classifier.model.body.get_submodule("conv1")
    tensors = conv1.state_dict()  # which are the module's own
    for name, tensor in tensors.items():
        if tensor.ndim:
            tensor[5] = tensor[2] * (2 if name in ("bn.weight", "bn.bias") else 1)
    tensors["bn.weight"][6], tensors["bn.bias"][6] = 0, -1
    return classifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 images of random patches, without classes."""
    root = tmp_path / "photos"
    root.mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        pixels = np.kron(random.integers(0, 255, (6, 6, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    return root
