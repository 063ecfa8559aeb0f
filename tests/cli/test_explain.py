"""`inceptorch explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from inceptorch.cli import app
from inceptorch.explanation import METHODS
from tests.explanation.helpers import colors_classifier, red_and_green_crop
from tests.helpers import sentence


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    colors_classifier().save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """a/one.png, b/one.png, twice as large and mirrored, and b/text.png, which is none."""
    crop = red_and_green_crop()
    for folder in ("a", "b"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
    Image.fromarray(crop).resize((64, 64), Image.Resampling.NEAREST).save(tmp_path / "photos" / "a" / "one.png")
    Image.fromarray(crop[:, ::-1]).save(tmp_path / "photos" / "b" / "one.png")
    (tmp_path / "photos" / "b" / "text.png").write_text("text")
    return tmp_path / "photos"


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, words)])


def test_explain_json_and_drawings(bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke(
        bundle, photos / "a" / "one.png", photos / "b", photos / "none.png", "--class", "red", "--out", out, "--json"
    )
    assert result.exit_code == 1, result.output
    entries = json.loads(result.stdout)
    assert json.loads((out / "explained.json").read_text()) == entries
    assert [Path(entry["file"]).name for entry in entries] == ["one.png", "one.png", "text.png", "none.png"]
    assert [Path(entry["file"]).name for entry in entries if set(entry) == {"file", "error"}] == [
        "text.png",
        "none.png",
    ]
    first, second = entries[:2]
    assert set(first) == {
        "file", "predictions", "label", "index", "probability", "method", "layer", "size", "map", "maximum",
        "difference", "peak", "box", "drawing",
    }  # fmt: skip
    assert (first["label"], first["index"], first["method"], first["layer"]) == ("red", 0, "gradcam", "conv2")
    assert first["box"] == [0, 0, 64, 64]
    assert (first["peak"][0] > 32, first["peak"][1] > 32) == (True, False)
    assert (second["peak"][0] > 16, second["peak"][1] > 16) == (False, False)
    for entry in (first, second):
        grid = np.array(entry["map"], np.float32)
        assert list(grid.shape) == entry["size"]
        assert grid.max() == np.float32(entry["maximum"]) > 0
        assert sum(one["probability"] for one in entry["predictions"]) == pytest.approx(1)
        with Image.open(entry["drawing"]) as drawing:
            assert drawing.format == "PNG"
            assert drawing.width > 500
    assert [Path(entry["drawing"]).name for entry in entries[:2]] == ["one.gradcam.png", "one.gradcam-2.png"]


@pytest.mark.parametrize("method", METHODS)
def test_what_explain_prints(bundle: Path, photos: Path, tmp_path: Path, method: str) -> None:
    result = invoke(bundle, photos / "a", "--method", method, "--top", 1, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert "one.png: red " in line or "one.png: green " in line
    assert "peak at x " in line
    assert f"inceptorch visualize {bundle} --class NAME" in result.stderr
    assert line.endswith(f"one.{method}.png")


def test_a_map_that_is_not_complete_is_said_to_be_so(
    bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (bundle, photos / "a", "--method", "integrated-gradients", "--out", tmp_path / "out")
    assert "read it with care" not in invoke(*words).stderr
    monkeypatch.setattr("inceptorch.explanation.gradients.TOLERANCE", -1.0)
    monkeypatch.setattr("inceptorch.explanation.gradients.STEPS", (1,))
    result = invoke(*words)
    assert result.exit_code == 0
    assert "one.png: the map sums to " in result.stderr
    assert "read it with care" in result.stderr


def test_drawings_are_not_explained_the_next_time(bundle: Path, photos: Path) -> None:
    for _ in range(2):
        assert invoke(bundle, photos / "a", "--out", photos / "a" / "explained").exit_code == 0
    assert len(json.loads((photos / "a" / "explained" / "explained.json").read_text())) == 1


def test_mistakes_are_one_sentence_and_leave_nothing(
    bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        words = ("explain", bundle, photos / "a", "--out", tmp_path / "out", *words)
        return sentence(*words, monkeypatch=monkeypatch, capsys=capsys)

    assert "There is no class 'redd': did you mean 'red'?" in said("--class", "redd")
    assert "Cannot see layer 'conv3', which the body of colors does not have: did you mean 'conv" in said(
        "--layer", "conv3"
    )
    assert "There is no method 'grad-cam': did you mean 'gradcam'?" in said("--method", "grad-cam")
    assert not (tmp_path / "out").exists()
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "captum", None)
        advice = said("--method", "occlusion")
        assert "without captum" in advice
        assert advice.endswith("not installed. Try: pip install 'inceptorch[explain]'")
    (tmp_path / "out").write_text("a file")
    assert "Cannot create" in said()
