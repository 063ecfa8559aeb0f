"""The order of an epoch."""

import hashlib
import itertools
from pathlib import Path

import numpy as np

from inceptorch.data.sampler import epoch_batches
from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import Split
from inceptorch.data.string_array import Files, StringArray


def split_of(count: int, shards: int = 0) -> Split:

    numbers = np.sort(np.arange(count, dtype=np.int32) % shards) if shards else None
    files = Files.of_names(StringArray(map(str, range(count))))
    return Split("", "", Folder(Path()), ("a",), files, np.zeros(count, np.int32), numbers)


def listed(order: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in order]


def test_batches_cover_every_image_once_and_none_is_left_alone() -> None:
    for count, size, shards in itertools.product((2, 3, 16, 17, 33, 100), (2, 3, 16), (0, 5)):
        for shuffle in ("all", "shards"):
            order = listed(epoch_batches(split_of(count, shards), size, seed=3, epoch=5, shuffle=shuffle))
            assert sorted(index for batch in order for index in batch) == list(range(count))
            assert min(map(len, order)) > 1
            assert max(map(len, order)) <= max(size, 3)
    first, again, next_epoch = (listed(epoch_batches(split_of(50), 16, 3, epoch)) for epoch in (5, 5, 6))
    assert first == again != next_epoch


def test_the_order_of_all_images_stays_what_it_was() -> None:
    # The values of version 0.1, so that its runs can go on.
    assert listed(epoch_batches(split_of(7), 3, seed=5, epoch=2)) == [[0, 4, 5], [3, 1], [2, 6]]
    order = repr(listed(epoch_batches(split_of(1000), 32, seed=1, epoch=4)))
    assert hashlib.sha256(order.encode()).hexdigest()[:16] == "2099262600932c64"


def test_shards_come_one_after_the_other_in_a_new_order_every_epoch() -> None:
    split = split_of(100, shards=7)
    assert split.shards is not None
    turns, insides = [], []
    for epoch in (0, 1):
        order = np.concatenate(epoch_batches(split, 8, 0, epoch, "shards"))
        runs = [(int(shard), list(members)) for shard, members in itertools.groupby(order, split.shards.__getitem__)]
        assert sorted(shard for shard, _ in runs) == list(range(7))
        turns.append([shard for shard, _ in runs])
        insides.append(dict(runs))
    assert turns[0] != turns[1]
    assert all(insides[0][shard] != insides[1][shard] for shard in range(7))
    assert all(members != sorted(members) for members in insides[0].values())
