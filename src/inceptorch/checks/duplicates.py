"""The same image more than once: in one class, under two labels, or in two splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.features import Vectors, find_alike
from inceptorch.checks.findings import Finding
from inceptorch.checks.near_duplicates import find_groups, positions
from inceptorch.checks.scan import DatasetScan
from inceptorch.utils.progress import Progress

Indices = NDArray[np.int64]


def duplicate_findings(
    scan: DatasetScan, near: bool, progress: Progress, embeddings: Vectors | None = None
) -> Iterator[Finding]:
    """Images with equal decoded pixels, even if the files differ; with `near`, nearly equal images too, by their
    thumbnails, or by `embeddings` [N, D], whose rows are nan where an image has none.

    Equal 64-bit hashes count as equal pixels: a million images collide with a probability of one in thirty million.
    """
    readable = np.flatnonzero(scan.readable)
    _, firsts, pixels = np.unique(scan.records["pixels"][readable], return_index=True, return_inverse=True)
    for members in positions(pixels):
        one_file = len(np.unique(scan.records["bytes"][readable[members]])) == 1
        note = "the same file" if one_file else "the same pixels"
        yield from _findings(scan, readable[members], "duplicates", note)
    if not near:
        return
    distinct = scan.records[readable[firsts]]
    copies = np.split(np.argsort(pixels, kind="stable"), np.cumsum(np.bincount(pixels))[:-1])
    if embeddings is None:
        groups, word = find_groups(distinct["gray"], distinct["tint"], progress), "similarity"
    else:
        groups, word = find_alike(embeddings[readable[firsts]], progress), "cosine of features"
    for group in groups:
        members = np.concatenate([copies[member] for member in group.members])
        yield from _findings(scan, readable[members], "near-duplicates", f"{word} {group.similarity:.2f} of 1")


def _findings(scan: DatasetScan, indices: Indices, kind: str, note: str) -> Iterator[Finding]:
    """The faults in one group of equal images, or a note that the group exists.

    The first image of each class in each split comes before the others, as lists are cut off behind these."""
    indices = np.sort(indices)
    _, firsts = np.unique([scan.split_of[indices], scan.labels[indices]], axis=1, return_index=True)
    first = np.isin(np.arange(len(indices)), firsts)
    indices = np.concatenate([indices[first], indices[~first]])
    splits = [list(scan.splits)[split] for split in np.unique(scan.split_of[indices]).tolist()]
    labels = np.unique(scan.labels[indices]).tolist()
    where = f", in {' and '.join(splits)}" if splits != [""] else ""
    labeled = (
        f", as {' and '.join(repr(scan.classes[label]) for label in labels)}"
        if scan.boxes(int(indices[0])) is None
        else ""
    )
    note = f"{note}{where}{labeled}"
    kinds = [f"{kind}-across-splits"] * (len(splits) > 1) + [f"{kind}-across-classes"] * (len(labels) > 1)
    for each in kinds or [kind]:
        yield Finding(each, tuple(map(scan.file, indices.tolist())), note, tuple(indices.tolist()), len(firsts))
