"""`inceptorch visualize`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from inceptorch.networks.zoo import get_network
from inceptorch.visualization.png import read_settings
from tests.conftest import hear_ctrl_c
from tests.helpers import classifier_of, invoke, sentence


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    classifier_of(get_network("googlenet_tiny"), classes=3).save(folder)
    return folder


def test_a_channel(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "channel.png"
    result = invoke("visualize", bundle, "conv1:2", "--steps", 3, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["file"] == str(out)
    assert value["seconds"] > 0
    (one,) = value["visualizations"]
    assert one["label"] == "conv1:2"
    assert one["raised"]
    with Image.open(out) as image:
        assert image.size == (32, 32)
    again = invoke("visualize", "--from", out, "--out", tmp_path / "again.png")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again.png").read_bytes() == out.read_bytes()
    line, file = again.stdout.splitlines()
    assert line.startswith("conv1:2: ")
    assert file == str(tmp_path / "again.png")


def test_a_class_beside_photographs(bundle: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "class.png"
    result = invoke("visualize", bundle, "--class", "class 2", "--data", images, "--steps", 1, "--out", out)
    assert result.exit_code == 0, result.output
    assert "class 2: " in result.stdout
    assert "; photographs up to " in result.stdout


def test_the_maps_of_an_image(bundle: Path, images: Path, tmp_path: Path) -> None:
    out, image = tmp_path / "maps.png", images / "val" / "red" / "00.png"
    result = invoke("visualize", bundle, "conv1", "--image", image, "--channels", "0-2", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert {each["channel"] for each in json.loads(result.stdout)["channels"]} == {0, 1, 2}
    assert read_settings(out, "visualize")["inputs"]["image"]["file"] == str(image)


def test_mistakes_are_one_sentence_and_write_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.png"

    def said(*words: object) -> str:
        return sentence("visualize", *words, "--out", out, monkeypatch=monkeypatch, capsys=capsys)

    assert "Cannot visualize without a model" in said()
    assert "Cannot tell what to visualize" in said(bundle)
    assert "Cannot see channel 9999 of layer conv1: it has 32 channels. Try 0 to 31." in said(bundle, "conv1:9999")
    assert "Cannot see layer 'conv11', which the network does not have: did you mean 'conv1'?" in said(bundle, "conv11")
    assert "There is no class 'clas 1': did you mean 'class 1'?" in said(bundle, "--class", "clas 1")
    assert "Cannot read 'x' as channels" in said(bundle, "conv1", "--channels", "x")
    assert "a term is LAYER:CHANNEL" in said(bundle, "conv1:1 +")
    assert "missing.npy does not exist" in said(bundle, "conv1", "--direction", tmp_path / "missing.npy")
    assert "missing.png does not exist" in said(bundle, "conv1", "--image", tmp_path / "missing.png")
    assert "Cannot show the maps of an image for less than a layer" in said(
        bundle, "conv1:1", "--image", bundle / "README.md"
    )
    assert "does not exist" in said(bundle, "conv1", "--data", tmp_path / "missing")
    assert not out.exists()


def test_ctrl_c_writes_the_image_so_far(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    words = ["visualize", str(bundle), "conv1:1", "--steps", "1000000", "--every", "2", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "inceptorch", *words], stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    )
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"{out} has the images so far" in errors
    assert read_settings(out, "visualize")["interrupted"] is True
