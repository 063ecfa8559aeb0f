"""Fixtures of these tests."""

from pathlib import Path

import pytest

from inceptorch.networks.network import NetworkSpec
from tests.helpers import classifier_of


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    classifier_of(tiny).save(tmp_path / "bundle")
    return tmp_path / "bundle"
