"""DATA as shards: tar files of images in a mixed order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from webdataset import TarWriter

from inceptorch.data.locator import lies_inside
from inceptorch.data.resolve import find_train_and_val, parts_of
from inceptorch.data.sources.folders import is_image
from inceptorch.data.sources.shards import INDEX, Entry, Index, scan
from inceptorch.data.split import Split
from inceptorch.data.string_array import UNKNOWN
from inceptorch.data.verify import Skipped, without_unreadable
from inceptorch.errors import DataError, ImageError, RunError
from inceptorch.utils.files import ensure_empty, new_folder, write_text
from inceptorch.utils.progress import Progress

BLOCK = 512  # of a tar file: a header is one, and data fills whole ones


@dataclass(frozen=True)
class Written:
    """The shards that were written and the images that were left out."""

    index: Index
    skipped: list[Skipped]


def write_shards(
    data: str | Path,
    out: Path,
    *,
    megabytes: float = 256.0,
    val_fraction: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
) -> Written:
    """Write the images of DATA into `out` as train-000000.tar, ..., val-000000.tar, ... and index.json.

    Images keep their bytes. Each part's order is drawn by the seed; where DATA has nothing to evaluate with, the seed also
    draws `val_fraction` of every class. A shard has at most so many megabytes, or one image. The same DATA gives
    the same bytes. Images that cannot be read are left out. `out` appears when all is written, or not at all. Raises
    DataError, RunError, and ImageError for an image that vanishes meanwhile.
    """
    progress = progress or Progress()
    if not 0 < megabytes < math.inf:
        raise DataError(f"The size of a shard is {megabytes:g} MB; it must be above 0, and finite.")
    if not 0 < val_fraction < 1:
        raise DataError(f"The share of every class to evaluate with is {val_fraction:g}; it must be between 0 and 1.")
    if lies_inside(out, data):
        raise RunError(f"{out} lies inside the images in {data}, which are never written to; name another OUT.")
    ensure_empty(out)
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    with new_folder(out) as folder:
        parts = _parts(data, val_fraction, seed)
        for part, split in parts.items():
            kept, unreadable = without_unreadable(split, progress)
            skipped += unreadable
            order = np.random.default_rng(seed).permutation(len(kept)).tolist()
            tracked = progress.track(order, len(order), f"writing {part}")
            entries += _write_part(folder, part, kept, tracked, megabytes * 1e6)
        index = Index(parts["train"].classes, tuple(entries))
        write_text(folder / INDEX, index.to_json())
    return Written(index, skipped)


def _parts(data: str | Path, val_fraction: float, seed: int) -> dict[str, Split]:
    """The parts under the names that their shards get: train, val, and test where DATA has it beside val."""
    train, val = find_train_and_val(data, val_fraction, seed)
    if val.name.lower() == "test":
        return {"train": train, "test": val}
    others = parts_of(data)
    test = {"test": others["test"]().relabelled(train.classes)} if "test" in others else {}
    return {"train": train, "val": val, **test}


def _write_part(folder: Path, part: str, split: Split, order: Iterator[int], limit: float) -> Iterator[Entry]:
    """Write a part's shards of at most `limit` bytes, with its images in this order; yields the entry of each."""
    waiting = next(order, None)
    number = shard = 0
    while waiting is not None:
        path = folder / f"{part}-{shard:06}.tar"
        labels: list[int] = []
        size = 0
        # Without times and owners, the same images are the same bytes.
        with open(path, "wb") as file, TarWriter(file, encoder=False, mtime=0) as writer:
            while waiting is not None:
                image, label = _read(split, waiting), int(split.labels[waiting])
                size += 3 * BLOCK + -(-len(image) // BLOCK) * BLOCK
                if labels and size > limit:
                    break
                key = f"{number:09}"
                writer.write({"__key__": key, _suffix(split.paths[waiting]): image, "cls": str(label).encode()})
                labels.append(label)
                number += 1
                waiting = next(order, None)
        with open(path, "rb") as written:
            found = scan(written, str(path), path.stat().st_size, UNKNOWN)
        yield Entry(path.name, found.size, np.array(labels, np.int32), found.names, found.starts, found.sizes)
        shard += 1


def _read(split: Split, index: int) -> bytes:
    try:
        return split.read(index)
    except ImageError as error:
        raise ImageError(error.path, f"{error.reason}, though it was there before; begin again") from None


def _suffix(path: str) -> str:
    """What an image is called behind its key; a data set's images are PNG."""
    return path.rpartition(".")[2].lower() if is_image(path) else "png"
