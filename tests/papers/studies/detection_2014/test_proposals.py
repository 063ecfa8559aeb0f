"""Proposals, and how many objects they cover."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import RunError
from inceptorch.images.boxes import Boxes, iou
from inceptorch.papers.studies.detection_2014 import proposals
from inceptorch.papers.studies.detection_2014.proposals import (
    COARSE,
    FINE,
    coverage,
    grid,
    selective_search,
    shuffled,
)
from tests.helpers import sentence


def test_coverage_of_a_hand_made_case() -> None:
    objects = [
        Boxes.of([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], [0, 1, 0], difficult=[False, False, True]),
        Boxes.of([[0, 0, 10, 10]], [1]),
        Boxes(),
    ]
    half, less = [0.0, 0, 10, 20], [0.0, 0, 10, 20.1]  # IoU 0.5 with the first object, and a little less
    regions = [np.array([[0.0, 0, 1, 1], half, [20, 20, 30, 30]]), np.array([less]), np.array([[0.0, 0, 9, 9]])]
    assert coverage(objects, regions) == pytest.approx(2 / 3)  # the difficult object is not asked for
    assert coverage(objects, regions, 2) == pytest.approx(1 / 3)
    assert coverage(objects, regions, 1) == 0
    assert coverage(objects, [np.zeros((0, 4))] * 3) == 0
    assert coverage([Boxes()], [np.zeros((0, 4))]) == 0


def test_the_grid_covers_an_object_of_any_place_and_size_it_has() -> None:
    boxes = grid(100, 80)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= np.array([100, 80]) + 1e-9).all()
    random = np.random.default_rng(0)
    for _ in range(50):
        side = random.uniform(8, 70)
        left, top = random.uniform(0, 100 - side), random.uniform(0, 80 - side)
        assert iou(np.array([[left, top, left + side, top + side]]), boxes).max() > 0.45


def test_an_order_by_chance_is_that_of_the_seed_and_the_image() -> None:
    boxes = grid(64, 64)
    first = shuffled(boxes, 0, 3)
    assert np.array_equal(first, shuffled(boxes, 0, 3))
    assert not np.array_equal(first, shuffled(boxes, 0, 4))
    assert not np.array_equal(first, shuffled(boxes, 1, 3))
    assert np.array_equal(np.sort(first, 0), np.sort(boxes, 0))


def two_squares() -> Image.Image:
    image = np.full((150, 250, 3), 128, np.uint8)
    image[20:70, 20:80], image[80:140, 150:220] = (220, 40, 40), (40, 60, 220)
    return Image.fromarray(image)


def test_selective_search_finds_plain_squares_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'inceptorch[proposals]'")
    monkeypatch.setattr(proposals, "SEARCH_WIDTH", 150)
    found = selective_search(two_squares(), FINE)
    best = iou(np.array([[20.0, 20, 80, 70], [150, 80, 220, 140]]), found).max(1)
    assert (best > 0.9).all()
    assert np.array_equal(found, selective_search(two_squares(), FINE))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))
    assert 0 < len(selective_search(noise, COARSE)) < len(selective_search(noise, FINE))
    strip = selective_search(Image.new("RGB", (4, 2000), "white"), FINE)  # which 250 pixels of width would make huge
    assert (strip >= 0).all()
    assert (strip <= [4, 2000, 4, 2000]).all()


def test_without_opencv_a_sentence_says_what_to_install(
    drawn: Path, four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    words = ["study", "detection-2014", "--data", drawn, "--weights", four, "--proposals", "selective-search"]
    said = sentence(*words, "--out", tmp_path / "out", monkeypatch=monkeypatch, capsys=capsys)
    assert "pip install 'inceptorch[proposals]'" in said
    assert not (tmp_path / "out").exists()


def test_an_opencv_without_contributions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))
    with pytest.raises(RunError, match="lacks ximgproc"):
        selective_search(two_squares(), FINE)
