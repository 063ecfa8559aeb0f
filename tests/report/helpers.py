"""Images with boxes for reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from inceptorch.data import BoxSplit
from inceptorch.data.resolve import open_splits
from inceptorch.images.boxes import Boxes


def write_table(
    folder: Path, boxes: Sequence[Boxes], classes: Sequence[str], size: tuple[int, int], split: str = ""
) -> None:
    """Noisy images, 00.png and so on, and a table of their boxes; a second split goes into the same table."""
    table = folder / "boxes.csv"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = [] if table.exists() else ["filename,width,height,class,xmin,ymin,xmax,ymax,split\n"]
    for number, each in enumerate(boxes):
        name = f"{split}{number:02}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
        rows = [
            f'"{classes[label]}",' + ",".join(map(str, edges))
            for edges, label in zip(each.xyxy, each.labels, strict=True)
        ]
        lines += [f"{name},{size[0]},{size[1]},{row},{split}\n" for row in rows or [",,,,"]]
    with open(table, "a", encoding="utf-8") as file:
        file.writelines(lines)


def box_split(
    folder: Path, boxes: Sequence[Boxes], classes: Sequence[str] = ("cat", "dog"), size: tuple[int, int] = (640, 480)
) -> BoxSplit:
    """A split of images with these boxes."""
    write_table(folder, boxes, classes, size, "val")
    split = open_splits(folder)["val"]().with_classes(classes)
    assert isinstance(split, BoxSplit)
    return split
