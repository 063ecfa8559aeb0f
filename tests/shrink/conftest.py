"""A trained run of the three-row network, and a machine without NNCF."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.shrink import measure
from inceptorch.training.recipe import Recipe
from tests.shrink.helpers import QUIET


@pytest.fixture
def run(images: Path, recipe: Recipe, tmp_path: Path) -> Path:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    return tmp_path / "run"


@pytest.fixture
def no_nncf(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed, which also saves its ten seconds."""
    monkeypatch.setattr(measure, "can_quantize", lambda: False)
