"""Images with their boxes drawn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from PIL import Image, ImageColor, ImageDraw, ImageFont

from inceptorch.errors import RunError
from inceptorch.images.boxes import Box
from inceptorch.images.inputs import load_image
from inceptorch.inference.inputs import Entry
from inceptorch.utils.files import atomic_write, ensure_empty, make_folder
from inceptorch.utils.plots import shortened

# Of the classes in their order, and again from the first; each is legible under white or black letters, and the page's
# boxes.js has the same.
PALETTE = (
    "#1f77d0", "#e4572e", "#2e9e4f", "#f2b01e", "#8e44ad", "#17a2b8", "#d63384", "#7a5230", "#9acd32", "#34495e"
)  # fmt: skip
MAX_LABEL = 24  # letters
JPEG_QUALITY = 92
Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


class Drawings:
    """A new folder of drawings, in the folders of the images below the one that holds all `paths`: JPEG for a JPEG,
    else PNG. A `resumed` call may find drawings there, which it replaces.

    Raises RunError if the folder is in use, or lies in one of `paths`, whose images would then be drawn, too.
    """

    def __init__(self, folder: Path, paths: Iterable[Path], resumed: bool = False):
        self.folder = folder
        if not resumed:
            ensure_empty(folder)
        real, inputs = Path(os.path.realpath(folder)), [Path(os.path.abspath(path)) for path in paths]
        for path in inputs:
            target = Path(os.path.realpath(path))
            if target.is_relative_to(real) or real.is_relative_to(target):
                raise RunError(f"Cannot draw into {folder}, as {path} is to be predicted. Try a folder outside of it.")
        # Links are not followed here: that of an image may lead out of the folder, and the drawing would replace it.
        self._root = os.path.commonpath([path if path.is_dir() else path.parent for path in inputs])

    def draw_each(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries of files, whose boxes are drawn as they come. Raises RunError if a drawing cannot be written."""
        for entry in entries:
            if "boxes" in entry:
                target = self._target(entry["file"])
                make_folder(target.parent)
                kind = "JPEG" if target.suffix.lower() in (".jpg", ".jpeg") else "PNG"
                drawing = draw_boxes(load_image(entry["file"]), entry["boxes"])
                atomic_write(target, lambda path: drawing.save(path, kind, quality=JPEG_QUALITY))  # noqa: B023
            yield entry

    def _target(self, file: str) -> Path:
        name = Path(os.path.relpath(os.path.abspath(file), self._root))
        kept = name.suffix.lower() in (".jpg", ".jpeg", ".png")
        return self.folder / (name if kept else name.with_name(f"{name.name}.png"))


def draw_boxes(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """A copy of an RGB image with boxes, each with its class and score; the best lies on top.

    Letters grow with the image, but only so far that most tags are no wider than their boxes."""
    drawing = image.copy()
    pen = ImageDraw.Draw(drawing)
    scale = (image.width * image.height) ** 0.5
    line = max(1, round(scale / 280))
    side = median([min(box["box"][2:]) for box in boxes] or [scale])
    letters = max(11, min(scale / 42, side / 5))  # pixels
    font = ImageFont.load_default(letters)
    for box in reversed(boxes):
        left, top, width, height = box["box"]
        pen.rectangle(
            (left, top, left + max(width - 1, 0), top + max(height - 1, 0)), outline=color_of(box["index"]), width=line
        )
    texts = [f"{shortened(box['label'], MAX_LABEL)} {box['score']:.0%}" for box in boxes]
    margin, (_, above, _, below) = letters / 4, pen.textbbox((0, 0), "Ag", font)
    tags: list[Rectangle] = []
    for box, text in zip(boxes, texts, strict=True):
        sides = pen.textlength(text, font) + 2 * margin, below - above + margin
        tags.append(_place(box, sides, line, drawing.size, tags))
    for box, text, tag in reversed(list(zip(boxes, texts, tags, strict=True))):
        color = color_of(box["index"])
        pen.rectangle((tag[0], tag[1], tag[2] - 1, tag[3] - 1), fill=color)
        pen.text((tag[0] + margin, tag[1] + margin / 2 - above), text, fill=_ink(color), font=font)
    return drawing


def _place(
    box: Box, tag: tuple[float, float], line: int, size: tuple[int, int], taken: Sequence[Rectangle]
) -> Rectangle:
    """Where a tag of this width and height goes: above the box, within its top, below it or within its bottom, the
    first of these that lies in the image and hides no other tag; else within its top."""
    left, top, _, height = box["box"]
    wide, tall = tag
    left, bottom = max(0.0, min(left, size[0] - wide)), top + height
    for y in (top - tall + line, top, bottom - line, bottom - tall):
        place = (left, y, left + wide, y + tall)
        if y >= 0 and place[3] <= size[1] and not any(_overlap(place, other) for other in taken):
            return place
    return left, top, left + wide, top + tall


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def color_of(label: int) -> str:
    """The color of a class."""
    return PALETTE[label % len(PALETTE)]


def _ink(color: str) -> str:
    """Black or white, whichever is more legible on the color."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
