"""What training images are like, by a look at a few of them before training is set up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inceptorch.data.locator import PIPE, URL
from inceptorch.data.resolve import open_splits
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import read_header
from inceptorch.images.inputs import load_image
from inceptorch.utils.arrays import spread

PEEKED = 20  # images


class Peek(NamedTuple):
    """How many training images there are, and the median of the shorter sides of some of them, in pixels."""

    images: int
    side: int


def peek(data: Any, max_images_per_class: int = 0) -> Peek | None:
    """What the training images are like: of DATA, of whose classes at most so many images count, or of pairs from
    Python. None where that cannot be told without fetching anything, and where training will say why."""
    try:
        return _peek_data(data, max_images_per_class) if isinstance(data, str | Path) else _peek_pairs(data)
    except (DataError, ImageError):
        return None


def _peek_data(data: str | Path, max_images_per_class: int) -> Peek | None:
    if URL in str(data) or str(data).startswith(PIPE):
        return None
    splits = open_splits(data, download=False)
    name = next((name for name in ("", "train") if name in splits), None)
    split = None if name is None else splits[name]()
    if split is None or not len(split):
        return None
    headers = [split.decoded(index, read_header) for index in spread(len(split), PEEKED)]
    images = sum(min(count, max_images_per_class or count) for count in split.counts().values())
    return Peek(images, int(np.median([min(header.width, header.height) for header in headers])))


def _peek_pairs(data: Any) -> Peek | None:
    """Of pairs from Python; None for what are no pairs of images."""
    pairs = data["train"] if isinstance(data, Mapping) and "train" in data else data
    pairs = pairs[0] if isinstance(pairs, tuple) and len(pairs) == 2 else pairs
    try:
        sides = [min(load_image(pairs[index][0]).size) for index in spread(len(pairs), PEEKED)]
    except (TypeError, IndexError, KeyError):
        return None
    return Peek(len(pairs), int(np.median(sides))) if sides else None
