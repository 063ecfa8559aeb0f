"""The same image more than once: in one class, and worse, under two labels or in two splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.findings import Finding
from inceptorch.checks.near_duplicates import groups_of
from inceptorch.checks.scan import Survey
from inceptorch.utils.progress import Progress

Numbers = NDArray[np.int64]


def of_duplicates(survey: Survey, near: bool, progress: Progress) -> Iterator[Finding]:
    """Images whose decoded pixels are equal, whatever else their files hold; with `near`, those that are nearly so too.

    Of equal hashes of 64 bits, pixels are taken to be equal: among a million images, one pair in thirty million such
    collections would not be.
    """
    readable = np.flatnonzero(survey.readable)
    _, firsts, pixels = np.unique(survey.rows["pixels"][readable], return_index=True, return_inverse=True)
    for members in _groups(pixels):
        numbers = readable[members]
        one_file = len(np.unique(survey.rows["bytes"][numbers])) == 1
        yield from _findings(survey, numbers, "duplicates", "the same file" if one_file else "the same pixels")
    if not near:
        return
    distinct = survey.rows[readable[firsts]]  # one of each
    groups, nearest = groups_of(distinct["gray"], distinct["tint"], progress)
    for members in _groups(groups[pixels]):
        if len(np.unique(pixels[members])) > 1:
            alike = nearest[pixels[members]].min()
            yield from _findings(survey, readable[members], "near-duplicates", f"alike by {alike:.2f} of 1")


def _groups(names: Numbers) -> list[Numbers]:
    """The places of each name that is there more than once; the groups, and each of them, in order."""
    order = np.argsort(names, kind="stable")
    ends = np.flatnonzero(np.diff(names[order])) + 1
    groups = [group for group in np.split(order, ends) if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))


def _findings(survey: Survey, numbers: Numbers, kind: str, how: str) -> Iterator[Finding]:
    """What the images of one group mean: each of the two that are errors where it applies, else that there are several."""
    numbers = np.sort(numbers)
    files = tuple(survey.file(number) for number in numbers.tolist())
    parts = [survey.part_name(part) for part in np.unique(survey.parts[numbers]).tolist()]
    classes = [survey.classes[label] for label in np.unique(survey.labels[numbers]).tolist()]
    where = f"in {' and '.join(parts)}, " if parts != [""] else ""
    note = f"{how}, {where}as {' and '.join(map(repr, classes))}"
    kinds = [f"{kind}-across-splits"] * (len(parts) > 1) + [f"{kind}-across-classes"] * (len(classes) > 1)
    for one in kinds or [kind]:
        yield Finding(one, files, note, tuple(numbers.tolist()))
