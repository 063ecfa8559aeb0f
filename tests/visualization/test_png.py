"""Settings in PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from inceptorch.errors import InceptorchError
from inceptorch.visualization.png import MAX_SETTINGS, read_settings, write_png


def test_settings_come_back_and_pixels_are_whole(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    settings = {"command": "dream", "layer": "4c", "label": "Ümlaut 花"}
    write_png(tmp_path / "a.png", pixels, settings)
    assert read_settings(tmp_path / "a.png", "dream") == settings
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_files_without_settings_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "plain.png")
    write_png(tmp_path / "style.png", np.zeros((2, 2, 3), np.uint8), {"command": "style"})
    for name, text in (("long", "x" * (MAX_SETTINGS + 1)), ("list", "[]"), ("deep", "[" * 100_000)):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("inceptorch", text)
        Image.new("RGB", (2, 2)).save(tmp_path / f"{name}.png", pnginfo=info)
    for name in ("plain", "style", "long", "list", "deep"):
        with pytest.raises(
            InceptorchError, match=rf"Cannot make .*{name}.png again: it holds no settings of inceptorch dream"
        ):
            read_settings(tmp_path / f"{name}.png", "dream")


def test_what_is_no_png_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.jpg")
    for name in ("text.png", "a.jpg"):
        with pytest.raises(InceptorchError, match=rf"{name} is no PNG image that can be read"):
            read_settings(tmp_path / name, "dream")
    with pytest.raises(InceptorchError, match="missing.png does not exist"):
        read_settings(tmp_path / "missing.png", "dream")
