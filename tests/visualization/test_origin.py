"""What an image was made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError, RunError
from inceptorch.visualization.origin import Origin, check_out
from inceptorch.visualization.png import write_png
from tests.helpers import classifier_of


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, value in zip(paths, (10, 20), strict=True):
        Image.new("RGB", (4, 4), (value, 0, 0)).save(path)
    return paths


def test_an_image_says_what_it_was_made_from(tiny: Classifier, files: list[Path], tmp_path: Path) -> None:
    origin = Origin.of(tiny, "tiny", files)
    assert (origin.model, origin.threads) == ("tiny", torch.get_num_threads())
    assert [each.file for each in origin.inputs] == list(map(str, files))
    image = tmp_path / "image.png"
    write_png(image, np.zeros((2, 2, 3), np.uint8), origin.to_dict("dream", {"size": 3}))
    again, settings = Origin.read(image, "dream")
    assert again == origin
    assert settings["size"] == 3
    again.require_same(origin, image)


def test_other_weights_and_files_are_named(tiny: Classifier, files: list[Path], tmp_path: Path) -> None:
    before, image = Origin.of(tiny, "tiny", files), tmp_path / "image.png"

    def refused(now: Origin, said: str) -> None:
        with pytest.raises(InceptorchError, match=f"Cannot make .*image.png again: .*{said}"):
            before.require_same(now, image)

    other = classifier_of(tiny.model.net, classes=4)
    refused(Origin.of(other, "other", files), r"other has other weights than it was made with\. Try --model")
    refused(Origin.of(tiny, "tiny", files[:1]), "made from 2 images, not 1")
    refused(Origin.of(tiny, "tiny", files[::-1]), r"b\.png is not the file it was made from")
    with pytest.raises(InceptorchError, match=r"gone\.png does not exist"):
        Origin.of(tiny, "tiny", [tmp_path / "gone.png"])


@pytest.mark.parametrize(
    "change", [{"threads": 10**6}, {"threads": "all"}, {"inputs": [{"file": 1}]}, {"inputs": "x"}, {"weights": None}]
)
def test_values_of_a_strangers_file_are_checked(
    tiny: Classifier, files: list[Path], tmp_path: Path, change: dict[str, Any]
) -> None:
    image = tmp_path / "image.png"
    write_png(image, np.zeros((2, 2, 3), np.uint8), Origin.of(tiny, "tiny", files).to_dict("dream", {}) | change)
    with pytest.raises(InceptorchError, match=r"Cannot make .*image\.png again: .* Try another file\."):
        Origin.read(image, "dream")


def test_nothing_is_downloaded_because_a_file_says_so(tiny: Classifier, files: list[Path]) -> None:
    origin = Origin.of(tiny, "tiny", files)
    origin.require_local(Path("image.png"))
    with pytest.raises(InceptorchError, match=r"its weights are on the hub\. Try --model hf-hub:someone/x\."):
        replace(origin, model="hf-hub:someone/x").require_local(Path("image.png"))


def test_where_an_image_cannot_be_written(files: list[Path], tmp_path: Path) -> None:
    def refused(out: Path, said: str) -> None:
        with pytest.raises(RunError, match=f"Cannot write .*: {said}"):
            check_out(out, files)

    check_out(tmp_path / "new.PNG", files)
    refused(tmp_path / "new.jpg", r"only PNG files hold their settings\. Try new\.png")
    refused(tmp_path / "none" / "new.png", "its folder does not exist")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "it is a folder")
    (tmp_path / "link.png").symlink_to(files[1])
    refused(tmp_path / "link.png", "it is one of the inputs")
