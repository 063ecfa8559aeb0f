"""A split of images with boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.split import Split, abbreviated_counts
from inceptorch.data.string_array import Indices
from inceptorch.images.boxes import Boxes


class Problem(NamedTuple):
    """A fault of an annotation: the file, a phrase that continues its name, and the kind of finding in a check. `lost`
    is what is left out for it: "box", "image", or "" where both stay; "note" where all should know of it."""

    file: str
    fault: str
    kind: str
    lost: str = ""
    image: str = ""  # its name in messages, where it is known


@dataclass(frozen=True, eq=False)
class BoxSplit(Split):
    """Images with boxes, whose labels index `classes`. An image itself has no class: `labels` are all 0.

    boxes     of each image, in pixels of the upright image
    sizes     width and height of each upright image, int32 [N, 2]
    problems  of the annotations, in the order of their files; what is left out for them is in no other field
    """

    boxes: tuple[Boxes, ...] = ()
    sizes: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    problems: tuple[Problem, ...] = ()

    def select(self, indices: Indices) -> BoxSplit:
        """The same split with these images alone, in this order."""
        at = np.asarray(indices, np.int64)
        boxes = tuple(self.boxes[index] for index in at.tolist())
        return replace(self, files=self.files.take(at), labels=self.labels[at], boxes=boxes, sizes=self.sizes[at])

    def counts(self) -> dict[str, int]:
        """The number of boxes of each class, in the order of the class list."""
        labels = np.concatenate([np.zeros(0, np.int32), *(each.labels for each in self.boxes)])
        return dict(zip(self.classes, np.bincount(labels, minlength=len(self.classes)).tolist(), strict=True))

    def with_classes(self, classes: Sequence[str]) -> BoxSplit:
        """The same images with boxes whose labels index `classes`, matched by name.

        Raises DataError if a class with boxes has a name that is not among them.
        """
        positions = self._positions(classes)
        boxes = tuple(replace(each, labels=positions[each.labels]) for each in self.boxes)
        return replace(self, classes=tuple(classes), boxes=boxes)

    def classes_in(self, index: int) -> list[str]:
        """The classes of an image's boxes."""
        return [self.classes[label] for label in np.unique(self.boxes[index].labels)]

    def by_class(self) -> Iterator[tuple[str, list[int]]]:
        """All images as one group: those of a validation part are drawn from it."""
        yield "", list(range(len(self)))

    def describe(self) -> str:
        """The classes with their numbers of boxes, and the images without any."""
        counts = self.counts()
        word = "class" if len(counts) == 1 else "classes"
        empty = sum(not len(each) for each in self.boxes)
        without = f"; {empty} image{'' if empty == 1 else 's'} without boxes" if empty else ""
        return f"{sum(counts.values())} boxes of {len(counts)} {word}: {abbreviated_counts(counts, 'boxes')}{without}"

    def lines(self) -> Iterator[str]:
        """A line for each image with its name, size and boxes."""
        for path, boxes, size in zip(self.paths, self.boxes, self.files.sizes, strict=True):
            digest = hashlib.sha256("\0".join(self.classes[label] for label in boxes.labels).encode())
            for values in (boxes.xyxy, boxes.difficult, boxes.crowd):
                digest.update(values.tobytes())
            yield f"{path}\0{digest.hexdigest()}\0{size}\n"


def describe_problems(splits: Iterable[Split]) -> Iterator[str]:
    """How many boxes and images are left out, and the first of them; then what else all should know."""
    problems = [problem for split in splits if isinstance(split, BoxSplit) for problem in split.problems]
    for lost, words in (("box", "boxes"), ("image", "images")):
        found = [problem for problem in problems if problem.lost == lost]
        if found:
            files = len({problem.file for problem in found})
            what = f"{len(found)} {lost if len(found) == 1 else words}"
            where = f"{files} file{'' if files == 1 else 's'}"
            yield f"left out {what} for faults in {where}, first {found[0].file} {found[0].fault}"
    notes = [f"{problem.file} {problem.fault}" for problem in problems if problem.lost == "note"]
    yield from dict.fromkeys(notes)  # of a file with several splits only once
