"""`inceptorch dream`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of, invoke, sentence

QUICK = ("--layer", "3a", "--octaves", 2, "--steps", 2, "--jitter", 3)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    classifier_of(get_network("googlenet_tiny"), classes=2).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (32, 40, 3), np.uint8)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def test_dream_writes_an_image_and_makes_it_again(bundle: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "dream.png"
    result = invoke("dream", photo, "--model", bundle, *QUICK, "--channels", "1,4", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: 40x32, layer 3a, energy ")
    result = invoke("dream", "--from", out, "--out", tmp_path / "again.png", "--json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert set(made) == {"file", "width", "height", "frames", "octaves", "interrupted", "seconds", "settings"}
    assert made["settings"]["channels"] == [1, 4]
    assert out.read_bytes() == (tmp_path / "again.png").read_bytes()


def test_dream_writes_a_film(bundle: Path, photo: Path, tmp_path: Path) -> None:
    result = invoke("dream", photo, "--model", bundle, *QUICK, "--zoom", 2, "--out", tmp_path / "film.webp")
    assert result.exit_code == 0, result.output
    assert "film of 2 frames, 40x32, layer 3a" in result.stdout


def test_mistakes_are_one_sentence_and_leave_nothing(
    bundle: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dream.png"

    def said(*words: object) -> str:
        words = ("dream", photo, "--model", bundle, "--out", out, *words)
        return sentence(*words, monkeypatch=monkeypatch, capsys=capsys)

    assert "Cannot read 'four' as channels. Try 0-15,40." in said("--channels", "four")
    assert "Cannot see channel 999 of layer 3a" in said("--layer", "3a", "--channels", 999)
    assert "Cannot see layer '3z', which the network does not have: known are: conv1, " in said("--layer", "3z")
    assert "step_size is nan; it must be" in said("--step-size", "nan")
    assert "octaves is 0; it must be" in said("--octaves", 0)
    assert "holds no settings of inceptorch dream" in said("--from", _plain(tmp_path))
    assert "does not exist" in said("--guide", tmp_path / "none.png")
    assert not out.exists()


def _plain(folder: Path) -> Path:
    Image.new("RGB", (2, 2)).save(folder / "plain.png")
    return folder / "plain.png"
