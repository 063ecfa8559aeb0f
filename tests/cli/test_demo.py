"""The demo as a newcomer runs it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.cli.demo import write_digits


def test_digits_become_a_folder_of_images(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    files = list((tmp_path / "digits").rglob("*.png"))
    assert len(files) == 1797
    assert {path.parent.name for path in files} == set("0123456789")
    val = [path for path in files if path.parent.parent.name == "test"]
    assert 0.19 < len(val) / len(files) < 0.21
    with Image.open(files[0]) as image:
        assert (image.mode, image.size) == ("L", (8, 8))
        assert np.asarray(image).max() > 200


@pytest.mark.slow
def test_the_demo_trains_evaluates_predicts_and_says_what_it_did(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inceptorch", "demo", "--epochs", "2", "--out", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "demo" / "run"
    for name in ("config.json", "model.safetensors", "README.md", "report.html"):
        assert (run / name).stat().st_size > 0
    with open(run / "metrics.csv", newline="") as file:
        *_, last = csv.DictReader(file)
    # All twelve epochs reach 99 % where they were measured (bench/results); two show that it learns.
    assert float(last["top1"]) >= 0.7
    assert "Trained inception_32 for 2 epochs" in done.stdout
    assert f"{float(last['top1']):.2%} are right" in done.stdout
    assert str(run / "report.html") in done.stdout
    assert "inceptorch train IMAGES" in done.stdout
    assert done.stdout.count("test/") == 5
