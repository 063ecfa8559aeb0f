"""Every image of DATA read once, on every core: a small row of numbers for each is kept, and remembered between runs.

A second check, and one that was interrupted, read only what is new. As in `data.remembered`, an image counts as read
while its name, size and time of change stay as they were; what could not be read, or only with a complaint, is read again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.data import Split
from inceptorch.data.index_cache import are_among, digests_of, is_settled, recall, remember
from inceptorch.errors import DamagedImage, HugeImage, ImageError
from inceptorch.images.decode import DECODERS, decode
from inceptorch.utils.ordered_map import ordered_map
from inceptorch.utils.progress import Progress

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")  # rows hold their numbers
SIDE, TINT_SIDE = 16, 4  # of the thumbnails in a row
ROW = np.dtype(
    [
        ("file", np.uint64),  # digest of name, size and time of change
        ("bytes", np.uint64),  # hash of the file
        ("pixels", np.uint64),  # hash of the decoded, upright image
        ("width", np.int32),
        ("height", np.int32),
        ("format", np.uint8),
        ("orientation", np.uint8),
        ("spread", np.float32),  # standard deviation of the brightness, 0..127.5
        ("gray", np.uint8, (SIDE, SIDE)),
        ("tint", np.uint8, (TINT_SIDE, TINT_SIDE, 2)),  # Cb and Cr
    ]
)
# Another decoder may give other pixels, whose hashes cannot be compared.
MADE_BY = f"rows 1, {DECODERS}"
KIND = "images"
BATCH = 32  # images that a thread takes at a time
EVERY = 30.0  # seconds between two times that rows are remembered, at least
SHARE = 20  # remembering takes at most one in so many of the seconds

Rows = NDArray[np.void]
Digests = NDArray[np.uint64]
Read = tuple[int, tuple[Any, ...] | None, "Fault | None"]  # an image's number, its row, what is wrong with it


class Fault(NamedTuple):
    """What is wrong with an image file: a kind of finding, and a sentence that fits behind its name."""

    kind: str
    says: str


@dataclass(frozen=True, eq=False)
class Survey:
    """All images of DATA, numbered through its splits in their order.

    rows      of every image, [N]; without meaning where `readable` is False
    faults    by number: of unreadable images, and of those that decode with a complaint
    parts     the split of each image, as its place in `splits`, int32 [N]
    labels    the class of each image, int32 [N], as its place in `classes`: the names of all splits, sorted
    """

    splits: dict[str, Split]
    rows: Rows
    readable: NDArray[np.bool_]
    faults: dict[int, Fault]
    parts: NDArray[np.int32]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, number: int) -> str:
        """The name by which a user finds an image."""
        split, index = self._place(number)
        return split.file(index)

    def image(self, number: int) -> Image.Image:
        """An image in mode RGB, at its own size. Raises ImageError naming the file."""
        split, index = self._place(number)
        return split.image(index)

    def part_name(self, part: int) -> str:
        return list(self.splits)[part]

    def numbers(self, name: str) -> NDArray[np.int64]:
        """The numbers of a split's images."""
        return np.flatnonzero(self.parts == list(self.splits).index(name))

    def _place(self, number: int) -> tuple[Split, int]:
        part = int(self.parts[number])
        return self.splits[self.part_name(part)], number - int(np.searchsorted(self.parts, part))


def read_all(splits: dict[str, Split], progress: Progress) -> Survey:
    """Read every image of these splits that is not remembered."""
    digests = [digests_of(split.files) for split in splits.values()]
    current: dict[str, list[Digests]] = {}  # what lies at each address, where several splits may
    for split, mine in zip(splits.values(), digests, strict=True):
        current.setdefault(split.where, []).append(mine)
    parts = [
        _read_split(split, mine, np.sort(np.concatenate(current[split.where])), progress)
        for split, mine in zip(splits.values(), digests, strict=True)
    ]
    classes = tuple(sorted({name for split in splits.values() for name in split.classes}))
    place = {name: number for number, name in enumerate(classes)}
    faults: dict[int, Fault] = {}
    first = 0
    for rows, _, wrong in parts:
        faults.update({first + index: fault for index, fault in wrong.items()})
        first += len(rows)
    labels = [np.array([place[name] for name in one.classes], np.int32)[one.labels] for one in splits.values()]
    return Survey(
        splits=splits,
        rows=np.concatenate([np.zeros(0, ROW), *(rows for rows, _, _ in parts)]),
        readable=np.concatenate([np.zeros(0, np.bool_), *(readable for _, readable, _ in parts)]),
        faults=faults,
        parts=np.repeat(np.arange(len(splits), dtype=np.int32), [len(split) for split in splits.values()]),
        labels=np.concatenate([np.zeros(0, np.int32), *labels]),
        classes=classes,
    )


def look(data: bytes) -> tuple[tuple[Any, ...], str]:
    """The row of an image file but for its first field, and what a strict decoder has to say against it. Raises
    ImageError."""
    decoded = decode(data, fast=True)
    header, pixels, complaint = decoded.header, decoded.array, decoded.complaint
    assert header is not None  # of a file
    # The whole image is decoded, although an eighth would do for what follows: only so are equal hashes equal pixels.
    of_pixels = hashlib.blake2b(pixels.reshape(-1).data, digest_size=8)
    of_pixels.update(repr(pixels.shape).encode())
    row = (
        _number(hashlib.blake2b(data, digest_size=8)),
        _number(of_pixels),
        header.width,
        header.height,
        FORMATS.index(header.format),
        header.orientation,
        *thumbnails(pixels),
    )
    return row, complaint


def thumbnails(pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.uint8], NDArray[np.uint8]]:
    """Of an image [H, W, 3]: how much its brightness varies, its brightness [16, 16] and its colors [4, 4, 2]."""
    small = Image.fromarray(pixels).resize((4 * SIDE, 4 * SIDE), Image.Resampling.BOX).convert("YCbCr")
    values = np.asarray(small)
    return float(values[..., 0].std()), _reduced(values[..., :1], SIDE)[..., 0], _reduced(values[..., 1:], TINT_SIDE)


def _number(digest: Any) -> int:
    return int.from_bytes(digest.digest(), "little")


def _reduced(values: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image [S, S, C], each pixel the mean of a square: [side, side, C]."""
    size, channels = len(values) // side, values.shape[2]
    means: NDArray[np.float64] = values.reshape(side, size, side, size, channels).mean((1, 3))
    return means.round().astype(np.uint8)


def _read_split(
    split: Split, digests: Digests, current: Digests, progress: Progress
) -> tuple[Rows, NDArray[np.bool_], dict[int, Fault]]:
    """The rows of a split's images, which of them could be read, and what is wrong with the others and with some.

    `current` are the digests of all files at the address of the split, sorted.
    """
    seen = time.time_ns()
    known = _recall(split.where, current)
    rows, readable, faults = np.zeros(len(split), ROW), np.zeros(len(split), np.bool_), dict[int, Fault]()
    if len(known):
        at = np.searchsorted(known["file"][:-1], digests)
        readable = known["file"][at] == digests
        rows[readable] = known[at[readable]]
    fresh = ~readable
    settled = is_settled(split.files.changed, seen)

    def remember_now() -> None:
        new = rows[fresh & settled & readable & ~_marked(faults, len(split))]
        wrong = _remember(split.where, known, new) if len(new) else None
        if wrong:
            progress.info(
                f"what was read is not remembered for the next time: {wrong} INCEPTORCH_HOME names another folder."
            )

    left = np.flatnonzero(fresh)
    batches = [left[start : start + BATCH].tolist() for start in range(0, len(left), BATCH)]
    cores = os.cpu_count() or 1
    last, pause = time.monotonic(), EVERY
    try:
        with ThreadPoolExecutor(cores) as pool:
            results = ordered_map(pool, lambda batch: [_read(split, index) for index in batch], batches, 2 * cores)
            what = f"reading {split.name or 'images'}"
            for index, row, fault in progress.track(chain.from_iterable(results), len(left), what):
                if row is not None:
                    rows[index], readable[index] = (digests[index], *row), True
                if fault is not None:
                    faults[index] = fault
                if time.monotonic() - last > pause:
                    began = time.monotonic()
                    remember_now()
                    last = time.monotonic()
                    pause = max(EVERY, SHARE * (last - began))
    finally:  # Ctrl-C too
        remember_now()
    return rows, readable, faults


def _read(split: Split, index: int) -> Read:
    """The row of an image, and what is wrong with it."""
    try:
        row, complaint = look(split.read(index))
    except DamagedImage as error:
        return index, None, Fault("truncated", error.reason)
    except HugeImage as error:
        return index, None, Fault("huge", error.reason)
    except ImageError as error:
        return index, None, Fault("unreadable", error.reason)
    return index, row, Fault("damaged", f"decodes, but with a complaint: {complaint}") if complaint else None


def _marked(numbers: Iterable[int], count: int) -> NDArray[np.bool_]:
    marks = np.zeros(count, np.bool_)
    marks[list(numbers)] = True
    return marks


def _recall(where: str, current: Digests) -> Rows:
    """The rows remembered for an address, in the order of `file`; without those of files that are no more, where these are
    the most."""
    found = recall(KIND, where)
    if found.get("made_by", np.zeros(0)).tobytes() != MADE_BY.encode():
        return np.zeros(0, ROW)
    rows: Any = found.get("rows", np.zeros(0))
    if rows.dtype != ROW or rows.ndim != 1:
        return np.zeros(0, ROW)
    live = are_among(rows["file"], current)
    kept: Rows = rows[live] if live.sum() < len(rows) / 2 else rows
    return kept


def _remember(where: str, known: Rows, new: Rows) -> str | None:
    """Remember these rows too; what is wrong if that is not possible."""
    whole = np.concatenate([known, new])
    whole = whole[np.argsort(whole["file"], kind="stable")]
    return remember(KIND, where, {"made_by": np.frombuffer(MADE_BY.encode(), np.uint8), "rows": whole})
