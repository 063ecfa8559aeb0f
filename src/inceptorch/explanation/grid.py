"""Maps at a lower resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


def area_sum(fine: Map, max_cells: int) -> Map:
    """A map [h, w] on at most `max_cells` x `max_cells` equal cells, each the sum of what it covers. A pixel on the
    border of two cells is divided between them by area, so the total stays the same."""
    rows, columns = (_overlaps(size, min(size, max_cells)) for size in fine.shape)
    return (rows @ fine @ columns.T).astype(np.float32)


def area_mean(fine: Map, max_cells: int) -> Map:
    """As `area_sum`, but the mean of what a cell covers."""
    sums = area_sum(fine, max_cells)
    return sums * (sums.size / fine.size)


def _overlaps(pixels: int, cells: int) -> NDArray[np.float64]:
    """The fraction of each pixel that lies in each cell, [cells, pixels]."""
    cell, pixel = np.linspace(0, pixels, cells + 1), np.arange(pixels + 1)
    ends = np.minimum(cell[1:, None], pixel[None, 1:])
    return np.asarray(np.clip(ends - np.maximum(cell[:-1, None], pixel[None, :-1]), 0, None))
