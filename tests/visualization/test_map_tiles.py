"""The maps of an image as tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import ImageError, TableError
from inceptorch.visualization.map_tiles import draw_maps
from inceptorch.visualization.sheet import LINE, MARGIN
from tests.visualization.helpers import SIZE, colors_network


def test_the_strongest_channels_come_first() -> None:
    image = np.full((SIZE, SIZE, 3), 128, np.uint8)
    image[: SIZE // 2, : SIZE // 2] = (0, 0, 255)
    image[SIZE // 2 :, SIZE // 2 :] = (160, 128, 128)
    sheet, channels = draw_maps(colors_network(), image, "1")
    assert [each["channel"] for each in channels][:2] == [2, 0]
    assert channels[0]["highest"] == pytest.approx(2, abs=0.02)
    x = 2 * MARGIN + 160
    tile = sheet[MARGIN + LINE :, x:][:160, :160].astype(int)
    assert (tile[20, 20] - tile[140, 140])[0] > 100  # viridis: yellow where it is high, purple elsewhere
    _, chosen = draw_maps(colors_network(), image, "1", [3, 1])
    assert {each["channel"] for each in chosen} == {1, 3}


def test_images_of_any_kind_are_shown(tmp_path: Path) -> None:
    for name, mode, size in (("gray", "L", (33, 9)), ("clear", "RGBA", (8, 8)), ("palette", "P", (50, 100))):
        Image.new(mode, size).save(tmp_path / f"{name}.png")
        sheet, channels = draw_maps(colors_network(), tmp_path / f"{name}.png", "0")
        assert sheet.ndim == 3
        assert len(channels) == 4


def test_what_has_no_map_is_named() -> None:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    with pytest.raises(TableError, match="Cannot show layer logits: it has no map"):
        draw_maps(colors_network(), image, "logits")
    with pytest.raises(TableError, match="Cannot see channel 4 of layer 1: it has 4 channels. Try 0 to 3"):
        draw_maps(colors_network(), image, "1", [4])
    with pytest.raises(ImageError):
        draw_maps(colors_network(), "missing.png", "1")
