"""Maps over images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.explanation import draw, explain, overlay
from inceptorch.images.preprocessing import ImageArray
from inceptorch.utils import plots


def test_an_overlay_is_brightest_where_the_map_is_highest() -> None:
    crop = np.full((64, 64, 3), 100, np.uint8)
    crop[0, 0] = (255, 0, 0)
    map = np.array([[0, 0], [0, 7]], np.float32)
    drawn = overlay(crop, map)
    assert (drawn.mode, drawn.size) == ("RGB", (64, 64))
    brightness = np.asarray(drawn.convert("L"), float)
    assert brightness[48:, 48:].mean() > brightness[:16, 16:48].mean() + 60
    np.testing.assert_array_equal(np.asarray(overlay(crop, 10 * map)), np.asarray(drawn))  # scaled to its maximum
    against = overlay(crop, -map)
    np.testing.assert_array_equal(np.asarray(against), np.asarray(overlay(crop, 0 * map)))
    assert len(np.unique(np.asarray(against)[1:].reshape(-1, 3), axis=0)) == 1


def test_a_map_without_anything_for_the_class_is_drawn_too(colors: Classifier, tmp_path: Path) -> None:
    (found,) = explain(colors, [np.full((32, 32, 3), (60, 220, 60), np.uint8)], target="red")
    assert found.map.max() == 0
    assert found.peak is None
    draw(found, tmp_path / "nothing.png")
    with Image.open(tmp_path / "nothing.png") as drawing:
        assert drawing.size == (864, 492)  # 7.2 x 4.1 inches with 120 dots each


def test_class_names_are_drawn_in_letters_that_some_font_has(
    colors: Classifier, red_and_green: ImageArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = explain(colors, [red_and_green])
    found = replace(
        found, label="$x_1 \u1d81"
    )  # which matplotlib's usual font lacks, and another that comes with it has
    monkeypatch.setattr(plots, "WIDE_FONTS", set())
    draw(found, tmp_path / "box.png")
    monkeypatch.setattr(plots, "WIDE_FONTS", {"STIXGeneral"})
    draw(found, tmp_path / "letter.png")
    box, letter = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("box.png", "letter.png"))
    assert (box != letter).any()
