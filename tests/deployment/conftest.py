"""A run to deploy."""

from __future__ import annotations

from pathlib import Path

import pytest

import inceptorch
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import get_network
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import Progress
from tests.helpers import classifier_of, detector_of


@pytest.fixture
def run(recipe: Recipe, images: Path, tmp_path: Path) -> Path:
    inceptorch.train(images, recipe=recipe, out=tmp_path / "run", progress=Progress(quiet=True))
    return tmp_path / "run"


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    classifier_of(tiny).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of images of 96x64 pixels."""
    folder = tmp_path_factory.mktemp("detector") / "bundle"
    detector_of(get_network("googlenet_small")).save(folder)
    return folder
