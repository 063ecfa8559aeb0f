"""Fixtures of these tests."""

from pathlib import Path

import pytest

from tests.conftest import write_classes
from tests.inference.helpers import save


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the three-row network, with drawn weights."""
    return save(tmp_path_factory.mktemp("model") / "tiny", seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images and one that is none."""
    root = tmp_path_factory.mktemp("folder") / "some"
    write_classes(root, 8)
    (root / "green" / "bad.jpg").write_bytes(b"no image")
    return root
