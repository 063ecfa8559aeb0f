"""One pass over every image of DATA, on every core: a small record of each, cached between runs.

A second check, or one after an interruption, reads only what is new. As in `data.index_cache`, an image counts as read
while its name, size and modification time stay the same. Unreadable and damaged images are read again.
"""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.data import BoxSplit, Split
from inceptorch.data.index_cache import are_among, digests_of, load_index, mtime_is_reliable, store_index
from inceptorch.errors import DamagedImage, HugeImage, ImageError, MissingImage
from inceptorch.images.boxes import Boxes
from inceptorch.images.decode import DECODERS, decode
from inceptorch.utils.ordered_map import ordered_map
from inceptorch.utils.progress import Progress

# Records hold the index of a format, so a new one comes last.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "HEIF")
SIZE, TINT_SIZE = 16, 4  # of the thumbnails in a record
RECORD = np.dtype(
    [
        ("file", np.uint64),  # digest of name, size and modification time
        ("bytes", np.uint64),  # hash of the file
        ("pixels", np.uint64),  # hash of the decoded, upright image
        ("width", np.int32),
        ("height", np.int32),
        ("format", np.uint8),
        ("orientation", np.uint8),
        ("spread", np.float32),  # standard deviation of the brightness, 0..127.5
        ("gray", np.uint8, (SIZE, SIZE)),
        ("tint", np.uint8, (TINT_SIZE, TINT_SIZE, 2)),  # Cb and Cr
    ]
)
VERSION = f"rows 2, {DECODERS}"  # another decoder may give other pixels, whose hashes cannot be compared
CACHE = "images"  # kind of entry in the index cache
BATCH_SIZE = 32  # images that a thread takes at a time
SAVE_INTERVAL = 30.0  # seconds between saves of new records, at least
SAVE_FACTOR = 20  # times the duration of a save must pass before the next one

Records = NDArray[np.void]
Digests = NDArray[np.uint64]
Mask = NDArray[np.bool_]


class Fault(NamedTuple):
    """A fault of an image file: a kind of finding, and a phrase that continues its name."""

    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class DatasetScan:
    """All images of DATA, numbered across splits."""

    splits: dict[str, Split]
    records: Records  # [N]; without meaning where `readable` is False
    readable: Mask
    faults: dict[int, Fault]  # by index: of unreadable images, and of those that decode with warnings
    split_of: NDArray[np.int32]  # [N], positions in `splits`
    labels: NDArray[np.int32]  # [N], positions in `classes`
    classes: tuple[str, ...]  # of all splits, sorted

    def __len__(self) -> int:
        return len(self.records)

    def file(self, index: int) -> str:
        """The name of an image for messages."""
        split, position = self._locate(index)
        return split.file(position)

    def image(self, index: int) -> Image.Image:
        """An image in mode RGB, at its own size. Raises ImageError naming the file."""
        split, position = self._locate(index)
        return split.image(position)

    def boxes(self, index: int) -> Boxes | None:
        """The boxes of an image, whose labels index `classes`; None if its split has none."""
        split, position = self._locate(index)
        if not isinstance(split, BoxSplit):
            return None
        at = np.array([self.classes.index(name) for name in split.classes], np.int32)
        return replace(split.boxes[position], labels=at[split.boxes[position].labels])

    def indices(self, name: str) -> NDArray[np.int64]:
        """The images of a split."""
        return np.flatnonzero(self.split_of == list(self.splits).index(name))

    def _locate(self, index: int) -> tuple[Split, int]:
        number = self.split_of[index]
        return list(self.splits.values())[number], index - int(np.searchsorted(self.split_of, number))


def scan_dataset(splits: dict[str, Split], progress: Progress) -> DatasetScan:
    """Scan every image that is not in the cache."""
    digests = [digests_of(split.files) for split in splits.values()]
    current: dict[str, list[Digests]] = {}  # all files at an address, which splits may share
    for split, own in zip(splits.values(), digests, strict=True):
        current.setdefault(split.where, []).append(own)
    records, readable, faults, labels = [np.zeros(0, RECORD)], [np.zeros(0, np.bool_)], {}, [np.zeros(0, np.int32)]
    classes = tuple(sorted({name for split in splits.values() for name in split.classes}))
    position = {name: number for number, name in enumerate(classes)}
    for split, own in zip(splits.values(), digests, strict=True):
        first = sum(map(len, records))
        new, ok, wrong = _scan_split(split, own, np.sort(np.concatenate(current[split.where])), progress)
        records.append(new)
        readable.append(ok)
        faults.update({first + index: fault for index, fault in wrong.items()})
        if isinstance(split, BoxSplit):  # whose images have no class
            labels.append(split.labels)
        else:
            labels.append(np.array([position[name] for name in split.classes], np.int32)[split.labels])
    return DatasetScan(
        splits=splits,
        records=np.concatenate(records),
        readable=np.concatenate(readable),
        faults=faults,
        split_of=np.repeat(np.arange(len(splits), dtype=np.int32), [len(split) for split in splits.values()]),
        labels=np.concatenate(labels),
        classes=classes,
    )


def scan_image(data: bytes) -> tuple[tuple[Any, ...], Fault | None]:
    """The record of an image file without its first field, and a fault that lets it be read. Raises ImageError."""
    decoded = decode(data, fast=True)
    header, pixels = decoded.header, decoded.array
    assert header is not None  # of a file
    # The whole image is decoded, although an eighth would do for the thumbnails: equal hashes must mean equal pixels.
    digest = hashlib.blake2b(pixels.reshape(-1).data, digest_size=8)
    digest.update(repr(pixels.shape).encode())
    hashes = [int.from_bytes(each.digest(), "little") for each in (hashlib.blake2b(data, digest_size=8), digest)]
    details = (header.width, header.height, FORMATS.index(header.format), header.orientation)
    fault = None
    if decoded.complaint:
        fault = Fault("damaged", f"decodes, but with a warning: {decoded.complaint}")
    elif decoded.low_bits:
        fault = Fault("low-bits", decoded.low_bits)
    return (*hashes, *details, *thumbnails(pixels)), fault


def thumbnails(pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.uint8], NDArray[np.uint8]]:
    """Of an image [H, W, 3]: the spread of its brightness, its brightness [16, 16] and its colors [4, 4, 2]."""
    small = Image.fromarray(pixels).resize((4 * SIZE, 4 * SIZE), Image.Resampling.BOX).convert("YCbCr")
    values = np.asarray(small)
    return float(values[..., 0].std()), _pooled(values[..., :1], SIZE)[..., 0], _pooled(values[..., 1:], TINT_SIZE)


def _pooled(values: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image [S, S, C] averaged to [size, size, C]."""
    factor = len(values) // size
    means: NDArray[np.float64] = values.reshape(size, factor, size, factor, -1).mean((1, 3))
    return means.round().astype(np.uint8)


def _scan_split(
    split: Split, digests: Digests, current: Digests, progress: Progress
) -> tuple[Records, Mask, dict[int, Fault]]:
    """The records of a split's images, which images are readable, and faults by index.

    `current` are the sorted digests of all files at the split's address.
    """
    seen = time.time_ns()
    cached = _load(split.where, current)
    records, readable, faults = np.zeros(len(split), RECORD), np.zeros(len(split), np.bool_), dict[int, Fault]()
    if len(cached):
        at = np.searchsorted(cached["file"][:-1], digests)
        readable = cached["file"][at] == digests
        records[readable] = cached[at[readable]]
    fresh = ~readable
    settled = mtime_is_reliable(split.files.changed, seen)

    def save() -> None:
        new = fresh & settled & readable
        new[list(faults)] = False
        if not new.any():
            return
        error = _store(split.where, np.concatenate([cached, records[new]]))
        if error:
            progress.info(f"Could not cache the image checks: {error} Set INCEPTORCH_HOME to a writable folder.")

    left = np.flatnonzero(fresh)
    batches = [left[start : start + BATCH_SIZE].tolist() for start in range(0, len(left), BATCH_SIZE)]
    cores = os.cpu_count() or 1
    last, pause = time.monotonic(), SAVE_INTERVAL
    try:
        with ThreadPoolExecutor(cores) as pool:
            results = ordered_map(pool, lambda batch: [_read(split, index) for index in batch], batches, 2 * cores)
            what = f"reading {split.name or 'images'}"
            for index, record, fault in progress.track(chain.from_iterable(results), len(left), what):
                if record is not None:
                    records[index], readable[index] = (digests[index], *record), True
                if fault is not None:
                    faults[index] = fault
                if time.monotonic() - last > pause:
                    began = time.monotonic()
                    save()
                    last = time.monotonic()
                    pause = max(SAVE_INTERVAL, SAVE_FACTOR * (last - began))
    finally:  # Ctrl-C too
        save()
    return records, readable, faults


def _read(split: Split, index: int) -> tuple[int, tuple[Any, ...] | None, Fault | None]:
    """An image's index, its record, and its fault, if any."""
    try:
        record, fault = scan_image(split.read(index))
    except ImageError as error:
        kinds = {DamagedImage: "truncated", HugeImage: "huge", MissingImage: "missing"}
        return index, None, Fault(kinds.get(type(error), "unreadable"), error.reason)
    return index, record, fault


def _load(where: str, current: Digests) -> Records:
    """The records cached for an address, in the order of `file`, without those of deleted files if these are the
    majority."""
    arrays = load_index(CACHE, where)
    records: Any = arrays.get("rows", np.zeros(0))
    if arrays.get("made_by", np.zeros(0)).tobytes() != VERSION.encode() or records.dtype != RECORD or records.ndim != 1:
        return np.zeros(0, RECORD)
    live = are_among(records["file"], current)
    kept: Records = records[live] if live.sum() < len(records) / 2 else records
    return kept


def _store(where: str, records: Records) -> str | None:
    """Cache these records; the error if that fails."""
    records = records[np.argsort(records["file"], kind="stable")]
    return store_index(CACHE, where, {"made_by": np.frombuffer(VERSION.encode(), np.uint8), "rows": records})
