"""Fixtures of these tests."""

from pathlib import Path

import pytest

from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of, detector_of


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    classifier_of(tiny).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of images of 96x64 pixels."""
    folder = tmp_path_factory.mktemp("detector") / "bundle"
    detector_of(get_network("googlenet_small")).save(folder)
    return folder
