"""`inceptorch export`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from inceptorch.deployment.export import export
from inceptorch.errors import ExportError
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def run(recipe: Recipe, images: Path, tmp_path: Path) -> Path:
    inceptorch.train(images, recipe=recipe, out=tmp_path / "run", progress=QUIET)
    return tmp_path / "run"


def test_images_that_cannot_be_read_are_left_out(run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "bad.png").write_bytes(b"no image")
    words = ["export", str(run), "--out", str(tmp_path / "a.onnx"), "--images", str(tmp_path / "some")]
    refused = CliRunner().invoke(app, words)
    assert "some holds no image that can be read: " in str(refused.exception)
    (tmp_path / "some" / "good.png").symlink_to(next(images.rglob("*.png")))
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "bad.png is not an image in a format that is read here; left out" in result.stderr
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ExportError, match=r"folder\.onnx: it is a folder"):
        export(run, tmp_path / "folder.onnx", progress=QUIET)
