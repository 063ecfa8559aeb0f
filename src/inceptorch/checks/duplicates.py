"""The same image more than once: in one class, under two labels, or in two splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.findings import Finding
from inceptorch.checks.near_duplicates import find_groups
from inceptorch.checks.scan import DatasetScan
from inceptorch.utils.progress import Progress

Indices = NDArray[np.int64]


def duplicate_findings(scan: DatasetScan, near: bool, progress: Progress) -> Iterator[Finding]:
    """Images with equal decoded pixels, even if the files differ; with `near`, nearly equal images too.

    Equal 64-bit hashes count as equal pixels: a million images collide with a probability of one in thirty million.
    """
    readable = np.flatnonzero(scan.readable)
    _, firsts, pixels = np.unique(scan.records["pixels"][readable], return_index=True, return_inverse=True)
    for members in _groups(pixels):
        one_file = len(np.unique(scan.records["bytes"][readable[members]])) == 1
        note = "the same file" if one_file else "the same pixels"
        yield from _findings(scan, readable[members], "duplicates", note)
    if not near:
        return
    distinct = scan.records[readable[firsts]]
    groups, nearest = find_groups(distinct["gray"], distinct["tint"], progress)
    for members in _groups(groups[pixels]):
        if len(np.unique(pixels[members])) > 1:
            note = f"similarity {nearest[pixels[members]].min():.2f} of 1"
            yield from _findings(scan, readable[members], "near-duplicates", note)


def _groups(values: Indices) -> list[Indices]:
    """The positions of each value that occurs more than once, in order."""
    order = np.argsort(values, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(values[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def _findings(scan: DatasetScan, indices: Indices, kind: str, note: str) -> Iterator[Finding]:
    """The errors in one group of equal images, or a note that the group exists."""
    indices = np.sort(indices)
    splits = [list(scan.splits)[split] for split in np.unique(scan.split_of[indices]).tolist()]
    classes = [scan.classes[label] for label in np.unique(scan.labels[indices]).tolist()]
    where = f"in {' and '.join(splits)}, " if splits != [""] else ""
    note = f"{note}, {where}as {' and '.join(map(repr, classes))}"
    kinds = [f"{kind}-across-splits"] * (len(splits) > 1) + [f"{kind}-across-classes"] * (len(classes) > 1)
    for each in kinds or [kind]:
        yield Finding(each, tuple(map(scan.file, indices.tolist())), note, tuple(indices.tolist()))
