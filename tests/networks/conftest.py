"""Fixtures of these tests."""

from pathlib import Path

import pytest

from tests.networks.helpers import OWN


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(OWN)
    return path
