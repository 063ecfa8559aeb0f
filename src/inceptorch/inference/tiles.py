"""Boxes in images that are larger than a detector's: found in overlapping tiles, and merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.images.boxes import Boxes, intersections, joined
from inceptorch.images.letterbox import Letterbox
from inceptorch.inference.pipeline import in_batches
from inceptorch.networks.detection import MAX_IOU

OVERLAP = 0.25  # of a tile with the next; objects up to this size are whole in one of them
EDGE = 2.0  # pixels from the edge of a tile up to which a box is cut by it
COVERED = 0.6  # of a cut box within another one that is then the same object

Tile = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the image


def tiles_of(width: int, height: int, tile_width: int, tile_height: int) -> Iterator[Tile]:
    """Tiles that cover the image and overlap by at least `OVERLAP`, row by row; those of the last column and row end
    with the image. One tile for an image that is no larger."""
    for top in _starts(height, tile_height):
        for left in _starts(width, tile_width):
            yield left, top, min(left + tile_width, width), min(top + tile_height, height)


def _starts(length: int, tile: int) -> list[int]:
    count = 1 if length <= tile else 1 + int(np.ceil((length - tile) / (tile * (1 - OVERLAP))))
    return [int(start) for start in np.linspace(0, max(length - tile, 0), count)]


def find_in_tiles(
    image: Image.Image,
    prepare: Callable[[Image.Image], Letterbox],
    detect: Callable[[list[Letterbox]], list[Boxes]],
    tile: tuple[int, int],
    batch_size: int,
    min_score: float,
) -> Boxes:
    """The boxes in an image, best first, with scores of at least `min_score`.

    They are found in the tiles, at the network's scale. The whole image, reduced to one tile, adds those of objects
    that may not be whole in any."""
    (whole,) = _above(detect([prepare(image)]), min_score)
    if image.width <= tile[0] and image.height <= tile[1]:
        return whole
    large: NDArray[np.bool_] = np.any(whole.sides > OVERLAP * np.array(tile), axis=1)
    parts = [whole.select(large)]
    cut = [np.zeros(len(parts[0]), np.bool_)]
    for some in in_batches(tiles_of(*image.size, *tile), batch_size):
        found = _above(detect([prepare(image.crop(each)) for each in some]), min_score)
        for (left, top, right, bottom), boxes in zip(some, found, strict=True):
            parts.append(boxes.moved(left=left, top=top))
            cut.append(is_cut(parts[-1], (left, top, right, bottom), image.size))
    return merged(joined(parts), np.concatenate(cut))


def _above(found: Sequence[Boxes], min_score: float) -> list[Boxes]:
    return [boxes.select(boxes.scores >= min_score) for boxes in found]


def is_cut(boxes: Boxes, tile: Tile, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether each box ends at an edge of the tile where the image goes on, [N]."""
    left, top, right, bottom = tile
    inner = np.array([left > 0, top > 0, right < size[0], bottom < size[1]])
    at_edge: NDArray[np.bool_] = np.any((np.abs(boxes.xyxy - np.array(tile)) <= EDGE) & inner, axis=1)
    return at_edge


def merged(boxes: Boxes, cut: NDArray[np.bool_]) -> Boxes:
    """The boxes of several tiles without those of the same object, best first: non-maximum suppression within each
    class, in which whole boxes come before cut ones, and a cut box that lies in another one is a part of it."""
    order, areas, kept = np.lexsort((-boxes.scores, cut)), boxes.areas, list[int]()
    for label in np.unique(boxes.labels):
        left = order[boxes.labels[order] == label]
        while len(left):
            best, left = left[0], left[1:]
            kept.append(int(best))
            shared = intersections(boxes.xyxy[best : best + 1], boxes.xyxy[left])[0]
            same = shared > MAX_IOU * (areas[best] + areas[left] - shared)
            part = cut[left] & (shared > COVERED * areas[left])
            left = left[~(same | part)]
    return boxes.select(sorted(kept, key=lambda which: (-boxes.scores[which], which)))
