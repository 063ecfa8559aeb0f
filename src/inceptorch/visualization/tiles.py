"""Gradients of large images, tile by tile, so that memory does not grow with the image.

Tiles overlap. In an overlap the gradient passes from one tile's to the next one's along a ramp; next to a tile's own
border, where it does not see what lies beyond, it counts nothing. So there are no seams.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WHOLE = 1 << 20  # pixels of an image that needs no tiles: up to 4c of GoogLeNet they take about 1 GB
TILE, OVERLAP = 640, 160  # pixels; a tile without its overlaps is at least as long as one
MULTIPLE = 32  # tiles begin at multiples of it, so that the strided layers of all networks meet the same pixels
Gradient = Callable[[Tensor], tuple[Tensor, float]]  # of images [1, 3, H, W]: the same shape, and a mean over places


def tiled(
    gradient: Gradient, image: Tensor, tile: int = TILE, overlap: int = OVERLAP, whole: int = WHOLE
) -> tuple[Tensor, float]:
    """What `gradient` gives for an image [1, 3, H, W], of more than `whole` pixels on tiles of about `tile` a side.

    Away from tiles' borders by a quarter of the overlap, or by what a unit sees if that is less, it is the same.
    The second value is the mean of the tiles' values.
    """
    height, width = image.shape[2:]
    if height * width <= whole:
        return gradient(image)
    lines, columns = spans(height, tile, overlap), spans(width, tile, overlap)
    total, value, area = torch.zeros_like(image), 0.0, 0
    for (top, bottom), across in zip(lines, ramps(lines), strict=True):
        for (left, right), along in zip(columns, ramps(columns), strict=True):
            part, mean = gradient(image[:, :, top:bottom, left:right].contiguous())
            weights = across[:, None].to(part) * along.to(part)
            total[:, :, top:bottom, left:right] += part.mul_(weights)
            pixels = (bottom - top) * (right - left)
            value, area = value + mean * pixels, area + pixels
    return total, value / area


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Begin and end of the tiles along a side, all of about the same length, which is at most about `tile`."""
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    step = -(-(length - overlap) // (count * MULTIPLE)) * MULTIPLE
    starts = range(0, length - overlap, step)
    return [(start, min(start + step + overlap, length)) for start in starts]


def ramps(tiles: list[tuple[int, int]]) -> list[Tensor]:
    """The weight of each pixel in each tile along a side; those of all tiles over a pixel sum to 1."""
    weights = [torch.ones(end - start) for start, end in tiles]
    for number in range(1, len(tiles)):
        shared = tiles[number - 1][1] - tiles[number][0]
        # 0 in the first quarter, 1 in the last.
        rising = ((torch.arange(shared) + 0.5) / shared * 2 - 0.5).clamp(0, 1)
        weights[number][:shared] *= rising
        weights[number - 1][-shared:] *= 1 - rising
    return weights
