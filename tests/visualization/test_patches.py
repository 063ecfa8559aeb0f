"""The patches of photographs to which channels answer most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import DataError
from inceptorch.utils.progress import Progress
from inceptorch.visualization.patches import receptive_boxes, top_patches
from inceptorch.visualization.subjects import find_subjects
from tests.visualization.helpers import SIZE, colors_network


def spotted(path: Path, color: tuple[int, int, int], x: int, y: int) -> None:
    pixels = np.full((SIZE, SIZE, 3), 128, np.uint8)
    pixels[y - 1 : y + 2, x - 1 : x + 2] = color
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Loose images with a spot each: two of red, one of blue; and one that is no image."""
    root = tmp_path / "spots"
    root.mkdir()
    spotted(root / "dark.png", (180, 128, 128), 5, 6)
    spotted(root / "red.png", (255, 0, 0), 17, 8)
    spotted(root / "blue.png", (0, 0, 255), 10, 20)
    (root / "text.png").write_text("no image")
    return root


def test_the_best_patch_lies_where_the_channel_is_highest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colors = colors_network()
    found = top_patches(colors, find_subjects(colors, "1:0"), folder, Progress(), count=2)
    assert (found.seen, found.skipped) == (3, 1)
    assert "1 of 4 images of" in capsys.readouterr().err
    (patches,) = found.patches
    assert [Path(patch.file).name for patch in patches] == ["red.png", "dark.png"]
    for patch, (x, y) in zip(patches, ((17, 8), (5, 6)), strict=True):
        left, top, right, bottom = patch.box
        assert left <= x < right
        assert top <= y < bottom
        assert right - left == bottom - top <= 4
        assert patch.pixels.shape == (bottom - top, right - left, 3)
    assert patches[0].value == pytest.approx(2.0, abs=0.05)
    assert patches[0].pixels[..., 0].max() == 255


def test_splits_and_a_class_rank_whole_images(images: Path) -> None:
    """All splits are looked at; the batches do not matter."""
    colors = colors_network()
    subjects = find_subjects(colors, None, target="blue")
    found = top_patches(colors, subjects, images, Progress(quiet=True))
    assert found.seen == 3 * (12 + 4)
    assert all("blue" in patch.file for patch in found.patches[0])
    values = [patch.value for patch in found.patches[0]]
    assert values == sorted(values, reverse=True)
    assert len(values) == len({patch.file for patch in found.patches[0]}) == 9


def test_boxes_hold_most_of_the_gradient_and_stay_within() -> None:
    strengths = np.zeros((2, 40, 50), np.float32)
    strengths[0, 18:23, 28:33] = 1
    strengths[1, :5, :5] = 1
    inner, corner = receptive_boxes(strengths)
    assert inner[0] <= 29
    assert inner[2] >= 32
    assert inner[2] - inner[0] == corner[2] - corner[0] <= 6
    assert corner[:2] == (0, 0)
    strengths[1] = 0
    assert receptive_boxes(strengths) == [(0, 0, 50, 40)] * 2


def test_data_without_a_readable_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    colors = colors_network()
    with pytest.raises(DataError, match="holds no image that can be read"):
        top_patches(colors, find_subjects(colors, "1:0"), tmp_path, Progress(quiet=True))
