"""Fixtures of these tests."""

from pathlib import Path

import pytest

from inceptorch.classifier.config import Metadata
from tests.conftest import write_classes
from tests.helpers import detector
from tests.inference.helpers import save


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the three-row network, with drawn weights."""
    return save(tmp_path_factory.mktemp("model") / "tiny", seed=0)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a detector, whose threshold leaves out some of its boxes."""
    path = tmp_path_factory.mktemp("boxes") / "detector"
    detector(["ant", "bee", "=1+1"], Metadata(score_threshold=0.6)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images and one that is none."""
    root = tmp_path_factory.mktemp("folder") / "some"
    write_classes(root, 8)
    (root / "green" / "bad.jpg").write_bytes(b"no image")
    return root
