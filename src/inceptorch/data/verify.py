"""Finding the pictures that cannot be read, before anything depends on them."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from inceptorch.data.folder import Split
from inceptorch.errors import DataError, PictureError
from inceptorch.pixels import decode
from inceptorch.progress import Progress


class Skipped(TypedDict):
    file: str
    error: str


def without_unreadable(split: Split, progress: Progress) -> tuple[Split, list[Skipped]]:
    """Decode every picture once, on every core; the split without those that fail, and what was wrong with each.

    Raises DataError if a class of the split loses all of its pictures.
    """

    def fault(index: int) -> str | None:
        try:
            decode(split.read(index))
        except PictureError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = list(
            progress.track(pool.map(fault, range(len(split))), len(split), f"checking {split.name or 'pictures'}")
        )
    skipped = [Skipped(file=split.file(i), error=error) for i, error in enumerate(faults) if error is not None]
    if not skipped:
        return split, []
    kept = split.keep([index for index, error in enumerate(faults) if error is None])
    counts = kept.counts()
    for index, error in enumerate(faults):
        name = split.classes[split.labels[index]]
        if not counts[name]:
            raise DataError(
                f"No picture of class {name!r} can be read; {split.file(index)} {error}. Mend or replace them."
            )
    return kept, skipped


def report_skipped(skipped: list[Skipped], say: Callable[[str], None]) -> None:
    """Name every picture left out, and count them."""
    if skipped:
        say(f"left out {len(skipped)} unreadable picture{'s' if len(skipped) > 1 else ''}:")
        for one in skipped:
            say(f"  {one['file']} {one['error']}")
