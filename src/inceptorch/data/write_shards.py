"""DATA as shards: tar files of images in a mixed order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from webdataset import TarWriter

from inceptorch.data.locator import ensure_outside
from inceptorch.data.resolve import find_train_and_val, open_splits, refuse_boxes
from inceptorch.data.sources.base import is_image
from inceptorch.data.sources.shards import INDEX, Entry, Index, scan
from inceptorch.data.split import Split, split_of
from inceptorch.data.string_array import UNKNOWN
from inceptorch.data.verify import Skipped, without_unreadable
from inceptorch.errors import DataError, ImageError
from inceptorch.utils.files import ensure_empty, new_folder, write_text
from inceptorch.utils.progress import Progress

BLOCK = 512  # of a tar file: a header is one, and data fills whole ones


def write_shards(
    data: str | Path,
    out: Path,
    *,
    megabytes: float = 256.0,
    val_fraction: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Index, list[Skipped]]:
    """Write the images of DATA into `out` as train-000000.tar, ..., val-000000.tar, ... and index.json.

    Images keep their bytes; unreadable ones are left out and returned with the index. The seed draws the order of each
    split and, if DATA has no val or test, `val_fraction` of every class as val. A shard has at most so many megabytes,
    or one image. The same DATA gives the same bytes. `out` appears when all is written, or not at all. Raises
    DataError, RunError, and ImageError for an image that vanishes meanwhile.
    """
    progress = progress or Progress()
    if not 0 < megabytes < math.inf:
        raise DataError(f"The size of a shard is {megabytes:g} MB; it must be above 0, and finite.")
    if not 0 < val_fraction < 1:
        raise DataError(f"The fraction of every class for val is {val_fraction:g}; it must be between 0 and 1.")
    ensure_outside(out, data)
    ensure_empty(out)
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    with new_folder(out) as folder:
        splits = _splits(data, val_fraction, seed)
        for name, split in splits.items():
            readable, unreadable = without_unreadable(split, progress)
            skipped += unreadable
            order = np.random.default_rng(seed).permutation(len(readable)).tolist()
            tracked = progress.track(order, len(order), f"writing {name}")
            entries += _write_split(folder, name, readable, tracked, megabytes * 1e6)
        index = Index(list(splits["train"].classes), entries)
        write_text(folder / INDEX, index.to_json())
    return index, skipped


def _splits(data: str | Path, val_fraction: float, seed: int) -> dict[str, Split]:
    """The splits under the names that their shards get: train, val, and test if DATA has it beside val."""
    refuse_boxes(data, f"pack {data} into shards", "Train on it as it is")
    train, val = find_train_and_val(data, val_fraction, seed)
    if split_of(val.name) == "test":
        return {"train": train, "test": val}
    others = open_splits(data)
    test = {"test": others["test"]().with_classes(train.classes)} if "test" in others else {}
    return {"train": train, "val": val, **test}


def _write_split(folder: Path, name: str, split: Split, order: Iterator[int], limit: float) -> Iterator[Entry]:
    """Write shards of at most `limit` bytes, with the images of a split in this order; yields the entry of each."""
    waiting = next(order, None)
    number = shard = 0
    while waiting is not None:
        path = folder / f"{name}-{shard:06}.tar"
        labels: list[int] = []
        size = 0
        # Without times and owners, the same images are the same bytes.
        with open(path, "wb") as file, TarWriter(file, encoder=False, mtime=0) as writer:
            while waiting is not None:
                image, label = _read(split, waiting), int(split.labels[waiting])
                size += 3 * BLOCK + -(-len(image) // BLOCK) * BLOCK
                if labels and size > limit:
                    break
                name_in_split = split.paths[waiting]  # a data set's images are PNG
                suffix = name_in_split.rpartition(".")[2].lower() if is_image(name_in_split) else "png"
                writer.write({"__key__": f"{number:09}", suffix: image, "cls": str(label).encode()})
                labels.append(label)
                number += 1
                waiting = next(order, None)
        with open(path, "rb") as written:
            found = scan(written, str(path), path.stat().st_size, UNKNOWN)
        yield Entry(
            file=path.name,
            images=len(labels),
            bytes=found.size,
            names=list(found.names),
            labels=labels,
            starts=found.starts.tolist(),
            sizes=found.sizes.tolist(),
        )
        shard += 1


def _read(split: Split, index: int) -> bytes:
    try:
        return split.read(index)
    except ImageError as error:
        raise ImageError(error.path, f"{error.reason}, though it was there before; begin again") from None
