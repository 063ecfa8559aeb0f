"""`inceptorch style`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of, invoke, sentence
from tests.visualization.images import stripes, waves


@pytest.fixture
def words(tmp_path: Path) -> list[object]:
    """A bundle, a content and two styles, and few steps."""
    torch.manual_seed(0)
    classifier_of(get_network("googlenet_tiny"), classes=3).save(tmp_path / "bundle")
    for name, pixels in (("content", waves(32, 40)), ("one", stripes()), ("two", waves(40, 40))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    inputs = [tmp_path / f"{name}.png" for name in ("content", "one", "two")]
    return ["style", *inputs, "--model", tmp_path / "bundle", "--size", 48, "--steps", 1]


def test_style_writes_the_image(words: list[object], tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    result = invoke(*words, "--weights", "1,2", "--strength", 2, "--keep-colors", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    with Image.open(out) as image:
        assert image.size == (made["width"], made["height"]) == (48, 38)
    assert made["file"] == str(out)
    assert made["settings"]["style_weights"] == [1, 2]
    assert made["settings"]["strength"] == 2
    assert made["settings"]["keep_colors"]
    assert {len(values) for values in made["losses"].values()} == {1}

    again = tmp_path / "again.png"
    result = invoke("style", "--from", out, "--out", again)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{again}: 48x38 pixels in ")
    assert again.read_bytes() == out.read_bytes()


def test_ctrl_c_is_exit_code_130(words: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(progress: object, steps: range, *rest: object) -> Iterator[int]:
        yield steps[0]
        raise KeyboardInterrupt

    monkeypatch.setattr("inceptorch.utils.progress.Progress.track", interrupted)
    result = invoke(*words, "--steps", 5, "--out", tmp_path / "out.png")
    assert result.exit_code == 130
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (48, 38)


def test_mistakes_are_one_sentence(
    words: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*more: object) -> str:
        return sentence(*words, *more, monkeypatch=monkeypatch, capsys=capsys)

    monkeypatch.chdir(tmp_path)
    assert "Cannot write out.jpg: its name must end in .png. Try out.png." in said("--out", "out.jpg")
    assert "it is an input" in said("--out", tmp_path / "one.png")
    assert "Cannot weight 2 styles with 1 weights" in said("--weights", "1")
    assert "style_weights is ['1', 'x']" in said("--weights", "1,x")
    assert "Cannot use the model as vgg16: it is googlenet_tiny." in said("--net", "vgg16")
    assert "strength is nan" in said("--strength", "nan")
    words[2:4] = []
    assert "CONTENT or STYLE is missing" in said()
    assert not (tmp_path / "style.png").exists()
