"""Finding the images that cannot be read, before anything depends on them."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import numpy as np

from inceptorch.data.index_cache import are_among, digests_of, is_settled, recall_readable, remember_readable
from inceptorch.data.split import Split
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import decode
from inceptorch.utils.progress import Progress


class Skipped(TypedDict):
    file: str
    error: str


def without_unreadable(split: Split, progress: Progress) -> tuple[Split, list[Skipped]]:
    """The split without the images that cannot be decoded, and what is wrong with each of those.

    Every image is decoded, on every core; one that can be is remembered until the file changes. Sources that say so
    need no check. Raises DataError if a class of the split loses all of its images.
    """
    if split.source.checked:
        return split, []
    faults = _faults(split, progress)
    if not faults:
        return split, []
    skipped = [Skipped(file=split.file(index), error=error) for index, error in faults.items()]
    readable = np.ones(len(split), np.bool_)
    readable[list(faults)] = False
    kept = split.keep(np.flatnonzero(readable))
    counts = kept.counts()
    for index, error in faults.items():
        name = split.classes[split.labels[index]]
        if not counts[name]:
            raise DataError(
                f"No image of class {name!r} can be read; {split.file(index)} {error}. Mend or replace them."
            )
    return kept, skipped


def _faults(split: Split, progress: Progress) -> dict[int, str]:
    """What is wrong with the images that cannot be decoded, by index, in order."""
    known, seen = recall_readable(split.where), time.time_ns()
    digests = digests_of(split.files)
    left = np.flatnonzero(~are_among(digests, known)).tolist()

    def fault(index: int) -> str | None:
        try:
            decode(split.read(index))
        except ImageError as error:
            return error.reason
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(progress.track(pool.map(fault, left), len(left), f"checking {split.name or 'images'}"))
    faults = {index: error for index, error in zip(left, found, strict=True) if error is not None}

    settled = is_settled(split.files.changed, seen)
    good = [index for index in left if settled[index] and index not in faults]
    if good:
        wrong = remember_readable(split.where, np.union1d(known, digests[good]))
        if wrong:
            progress.info(
                f"what was checked is not remembered for the next time: {wrong} INCEPTORCH_HOME names another folder."
            )
    return faults


def report_skipped(skipped: list[Skipped], say: Callable[[str], None]) -> None:
    """Name every image left out, and count them."""
    if skipped:
        say(f"left out {len(skipped)} unreadable image{'s' if len(skipped) > 1 else ''}:")
        for one in skipped:
            say(f"  {one['file']} {one['error']}")
