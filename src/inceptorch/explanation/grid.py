"""Maps of an image on few cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


def summed(fine: Map, most: int) -> Map:
    """A map [h, w] on at most `most` x `most` cells of one size, each the sum of what lies in it; a place on the border of
    two counts in both by its share, so the sum of all stays what it was."""
    rows, columns = (_shares(side, min(side, most)) for side in fine.shape)
    return (rows @ fine @ columns.T).astype(np.float32)


def averaged(fine: Map, most: int) -> Map:
    """As `summed`, but the average of what lies in a cell."""
    sums = summed(fine, most)
    return sums * (sums.size / fine.size)


def _shares(places: int, cells: int) -> NDArray[np.float64]:
    """How much of every place lies in every cell, [cells, places], where both divide the same length evenly."""
    cell, place = np.linspace(0, places, cells + 1), np.arange(places + 1)
    ends = np.minimum(cell[1:, None], place[None, 1:])
    starts = np.maximum(cell[:-1, None], place[None, :-1])
    overlap: NDArray[np.float64] = np.clip(ends - starts, 0, None)
    return overlap
