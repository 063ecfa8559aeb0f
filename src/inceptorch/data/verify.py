"""Finding the images that cannot be read, before anything depends on them."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import numpy as np

from inceptorch.data.index_cache import are_among, digests_of, load_readable, mtime_is_reliable, store_readable
from inceptorch.data.split import Split
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import decode, describe_low_bits
from inceptorch.utils.progress import Progress


class Skipped(TypedDict):
    file: str
    error: str


def without_unreadable(split: Split, progress: Progress) -> tuple[Split, list[Skipped]]:
    """The split without the images that cannot be decoded, and the reason for each of those.

    Every image is decoded, on every core; a readable one is remembered until its file changes. Raises DataError if a
    class of the split loses all of its images.
    """
    faults = {} if split.source.checked else _faults(split, progress)
    if not faults:
        return split, []
    skipped = [Skipped(file=split.file(index), error=error) for index, error in faults.items()]
    readable = split.select(np.setdiff1d(np.arange(len(split)), list(faults)))
    counts = readable.counts()
    for index, error in faults.items():
        for name in split.classes_in(index):
            if not counts[name]:
                raise DataError(
                    f"No image of class {name!r} can be read; {split.file(index)} {error}. Repair or replace them."
                )
    return readable, skipped


def _faults(split: Split, progress: Progress) -> dict[int, str]:
    """The images that cannot be decoded, by index, in order, with the reasons."""
    known, seen = load_readable(split.where), time.time_ns()
    digests = digests_of(split.files)
    left = np.flatnonzero(~are_among(digests, known)).tolist()
    shallow: set[int] = set()  # as only their lowest bits are used; not cached, so that each run says so

    def fault(index: int) -> str | None:
        try:
            if decode(split.read(index)).low_bits:
                shallow.add(index)
        except ImageError as error:
            return error.reason
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(progress.track(pool.map(fault, left), len(left), f"checking {split.name or 'images'}"))
    faults = {index: error for index, error in zip(left, results, strict=True) if error is not None}

    if shallow:
        progress.info(describe_low_bits(len(shallow), len(split), split.file(min(shallow))))

    reliable = mtime_is_reliable(split.files.changed, seen)
    good = [index for index in left if reliable[index] and index not in faults and index not in shallow]
    error = store_readable(split.where, np.union1d(known, digests[good])) if good else None
    if error:
        progress.info(f"Could not write the image-check cache: {error} Set INCEPTORCH_HOME to a writable folder.")
    return faults


def report_skipped(skipped: list[Skipped], say: Callable[[str], None]) -> None:
    """Name every skipped image, and count them."""
    if skipped:
        say(f"left out {len(skipped)} unreadable image{'s' if len(skipped) > 1 else ''}:")
        for image in skipped:
            say(f"  {image['file']} {image['error']}")
