"""Fixtures of these tests."""

from pathlib import Path

import pytest
import torch

from inceptorch.classifier import Classifier, Metadata
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    Classifier.of(Model(tiny, 3), default_preprocessing(16), ["ant", "bee", "cat"], Metadata(license="none")).save(
        tmp_path / "bundle"
    )
    return tmp_path / "bundle"
