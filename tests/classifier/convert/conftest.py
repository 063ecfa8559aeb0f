"""Fixtures of these tests."""

from pathlib import Path

import pytest


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"class {number}\n" for number in range(10)))
    return path
