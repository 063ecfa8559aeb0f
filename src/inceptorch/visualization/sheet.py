"""Images side by side, with labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inceptorch.utils.plots import INK, shortened

WIDTH = 1200  # pixels, unless one panel is wider
BACKGROUND = "#ffffff"
GAP, MARGIN = 4, 16  # pixels, between images and around panels
LETTERS = 13  # pixels
LINE = 20


@dataclass(frozen=True, eq=False)
class Part:
    """Images [H, W, 3] under one label: each a tile of its own, or with `across` above 1 so many on a tile's side."""

    label: str
    images: Sequence[NDArray[np.uint8]]
    across: int = 1

    def width(self, tile: int) -> int:
        tiles = len(self.images) if self.across == 1 else 1
        return tiles * (tile + GAP) - GAP


Panel = Sequence[Part]  # side by side


def draw_sheet(panels: Sequence[Panel], tile: int) -> NDArray[np.uint8]:
    """Panels in lines, as uint8 [H, W, 3]. `tile` is the side of an image in pixels."""
    width = max(sum(part.width(tile) + MARGIN for part in panel) for panel in panels)
    height = LINE + tile + MARGIN
    columns = max(1, min((WIDTH - MARGIN) // width, math.ceil(math.sqrt(len(panels)))))
    lines = math.ceil(len(panels) / columns)
    sheet = Image.new("RGB", (MARGIN + columns * width, MARGIN + lines * height), BACKGROUND)
    for number, panel in enumerate(panels):
        x, y = MARGIN + number % columns * width, MARGIN + number // columns * height
        for part in panel:
            _draw_part(sheet, part, x, y, tile)
            x += part.width(tile) + MARGIN
    return np.asarray(sheet)


def _draw_part(sheet: Image.Image, part: Part, x: int, y: int, tile: int) -> None:
    pen, font = ImageDraw.Draw(sheet), _font()
    room = part.width(tile) + MARGIN - GAP
    text = shortened(part.label, len(part.label))
    length = len(text)
    while length > 1 and pen.textlength(text, font) > room:
        length -= 1
        text = shortened(part.label, length)
    pen.text((x, y), text, fill=INK, font=font)
    step = (tile + GAP) / part.across
    side = round(step - GAP) if part.across > 1 else tile
    for number, image in enumerate(part.images):
        row, column = (0, number) if part.across == 1 else divmod(number, part.across)
        place = (x + round(column * step), y + LINE + round(row * step))
        sheet.paste(_scaled(image, side), place)


def _scaled(image: NDArray[np.uint8], side: int) -> Image.Image:
    """An image with its longer side at `side` pixels; one that fits a whole number of times keeps its pixels."""
    height, width = image.shape[:2]
    longer = max(height, width)
    method = Image.Resampling.NEAREST if side % longer == 0 else Image.Resampling.BICUBIC
    size = (max(round(width * side / longer), 1), max(round(height * side / longer), 1))
    return Image.fromarray(image).resize(size, method)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """matplotlib's font, which has more letters than Pillow's."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", LETTERS)
