"""The order in which an epoch takes the images."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.split import Split


def epoch_batches(
    split: Split, batch_size: int, seed: int, epoch: int, shuffle: Literal["all", "shards"] = "all"
) -> list[NDArray[np.int64]]:
    """One epoch's indices of the images as batches of at most `batch_size`, equal to within one.

    shuffle  "all": any order of all images; "shards": the shards in a random order, and the images within each
             (arXiv:1502.03167 section 4.2.1). Without shards, a split counts as one.

    Equal batches leave none of a single image, which batch normalization could not take; with a batch size of 2 and an
    odd count, one has three.
    """
    random = np.random.default_rng([seed, epoch])
    if shuffle == "all":
        order = random.permutation(len(split))
    else:
        shards = split.shards if split.shards is not None else np.zeros(len(split), np.int32)
        by_shard = np.argsort(shards, kind="stable")
        members = np.split(by_shard, np.flatnonzero(np.diff(shards[by_shard])) + 1)
        order = np.concatenate([random.permutation(members[shard]) for shard in random.permutation(len(members))])
    return np.array_split(order, steps_per_epoch(len(split), batch_size))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """The number of batches of at most `batch_size` images; the smallest has count // steps of them."""
    return max(1, min(-(-count // batch_size), count // 2))
