"""Finding the pictures that cannot be read, before anything depends on them."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import numpy as np

from inceptorch.data.folder import Split
from inceptorch.data.remembered import digests_of, is_settled, recall_checked, remember_checked
from inceptorch.errors import DataError, PictureError
from inceptorch.pixels import decode
from inceptorch.progress import Progress


class Skipped(TypedDict):
    file: str
    error: str


def without_unreadable(split: Split, progress: Progress) -> tuple[Split, list[Skipped]]:
    """The split without the pictures that cannot be decoded, and what is wrong with each of those.

    Every picture is decoded once, on every core; what came of it is remembered until the file changes. Shards that
    stream were checked when they were made. Raises DataError if a class of the split loses all of its pictures.
    """
    if split.streams:
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
                f"No picture of class {name!r} can be read; {split.file(index)} {error}. Mend or replace them."
            )
    return kept, skipped


def _faults(split: Split, progress: Progress) -> dict[int, str]:
    """What is wrong with the pictures that cannot be decoded, by index, in order."""
    checked, seen = recall_checked(split.where), time.time_ns()
    digests = digests_of(split.files)
    unknown = np.flatnonzero(~checked.is_readable(digests)).tolist()
    faults = {index: checked.faults[digest] for index in unknown if (digest := int(digests[index])) in checked.faults}
    left = [index for index in unknown if index not in faults]

    def fault(index: int) -> str | None:
        try:
            decode(split.read(index))
        except PictureError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(progress.track(pool.map(fault, left), len(left), f"checking {split.name or 'pictures'}"))
    faults |= {index: error for index, error in zip(left, found, strict=True) if error is not None}

    settled = is_settled(split.files.changed, seen)
    to_keep = [index for index in left if settled[index]]
    if to_keep:
        good = digests[[index for index in to_keep if index not in faults]]
        checked.readable = np.union1d(checked.readable, good)
        checked.faults |= {int(digests[index]): faults[index] for index in to_keep if index in faults}
        wrong = remember_checked(split.where, checked)
        if wrong:
            progress.say(f"what was checked is not remembered for the next time: {wrong}")
    return dict(sorted(faults.items()))


def report_skipped(skipped: list[Skipped], say: Callable[[str], None]) -> None:
    """Name every picture left out, and count them."""
    if skipped:
        say(f"left out {len(skipped)} unreadable picture{'s' if len(skipped) > 1 else ''}:")
        for one in skipped:
            say(f"  {one['file']} {one['error']}")
