"""Fixtures of these tests."""

from pathlib import Path

import pytest
import torch
from torch import nn

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from tests.conftest import COLORS


@pytest.fixture
def members(tiny: NetworkSpec, images: Path) -> list[Classifier]:
    """Two networks on images of two sizes, with random weights that say something of colors."""
    made = []
    for seed, size in ((1, 16), (2, 24)):
        torch.manual_seed(seed)
        model = Model(tiny, 3, size=size).eval()
        nn.init.normal_(model.get_classifier().weight, std=2.0)
        made.append(Classifier.of(model, default_preprocessing(size), list(COLORS)))
    return made
