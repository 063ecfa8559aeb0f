"""Fixtures of folders to check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.helpers import Planted, clean_folder, settle


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A folder with five of every fault."""
    folder = Planted(tmp_path_factory.mktemp("planted") / "data")
    folder.files()
    folder.duplicates()
    folder.near_duplicates()
    folder.classes()
    settle(folder.root)
    return folder


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return clean_folder(tmp_path / "clean")
