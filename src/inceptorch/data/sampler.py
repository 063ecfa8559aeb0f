"""The order in which an epoch takes the images."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.split import Split


def batches(
    split: Split, size: int, seed: int, epoch: int, shuffle: Literal["all", "shards"] = "all"
) -> list[NDArray[np.int64]]:
    """One epoch's order of the images as batches of at most `size`, equal to within one.

    shuffle  "all": any order of all images; "shards": the shards in a drawn order, and drawn orders of the images
             within each (arXiv:1502.03167 section 4.2.1). Without shards, a split counts as one.

    Equal batches leave none of a single image, which batch normalization could not take (with `size` 2 and an odd
    count, one has three).
    """
    count = len(split)
    random = np.random.default_rng([seed, epoch])
    order = _within_shards(split, random) if shuffle == "shards" else random.permutation(count)
    return np.array_split(order, steps_in(count, size))


def steps_in(count: int, size: int) -> int:
    """How many batches of at most `size` so many images make; the smallest has count // steps of them."""
    return max(1, min(-(-count // size), count // 2))


def _within_shards(split: Split, random: np.random.Generator) -> NDArray[np.int64]:
    shards = split.shards if split.shards is not None else np.zeros(len(split), np.int32)
    by_shard = np.argsort(shards, kind="stable")
    members = np.split(by_shard, np.flatnonzero(np.diff(shards[by_shard])) + 1)
    return np.concatenate([random.permutation(members[turn]) for turn in random.permutation(len(members))])
