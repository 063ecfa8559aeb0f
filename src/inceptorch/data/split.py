"""A split: which images there are, of which class, and how a part of them is held out."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.data.sources.folders import Source
from inceptorch.data.string_array import Files, Indices, Names, is_text
from inceptorch.errors import DataError, ImageError, did_you_mean
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import ImageArray, Preprocessing

TRAIN = ("train", "training")
VAL = ("val", "valid", "validation", "test")
SPLITS = {"train": TRAIN, "val": VAL[:3], "test": VAL[3:]}
Decoded = TypeVar("Decoded")
VAL_PART = "validation part"  # the name of a split that was drawn, not found


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images of one split. `labels` int32 [N] index `classes`; `files` are names within `source`; `where` is
    the name by which a user finds the split; `shards` int32 [N] number the shard of each image, where there are any;
    `within` is the folder of the source that holds the class folders, where there are any."""

    name: str
    where: str
    source: Source
    classes: tuple[str, ...]
    files: Files
    labels: NDArray[np.int32]
    shards: NDArray[np.int32] | None = None
    within: str | None = None

    def __post_init__(self) -> None:
        """Raise DataError for a class whose name is not text, which no file of a run could hold."""
        for name in self.classes:
            if not is_text(name):
                raise DataError(
                    f"{self.where}: the name of the {self.source.class_word} {name!r} is not in UTF-8; rename it."
                )

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> Names:
        """The images' names within the source."""
        return self.files.names

    def read(self, index: int) -> bytes:
        """The file's bytes. Raises ImageError."""
        return self.source.read(self.paths[index])

    def crop(self, index: int, preprocessing: Preprocessing) -> ImageArray:
        """The image's center crop, uint8 [S, S, 3]. Raises ImageError naming the file."""
        return preprocessing.apply(self.image(index))

    def image(self, index: int) -> Image.Image:
        """The image in mode RGB, at its own size. Raises ImageError naming the file."""
        return self.decoded(index, decode).image

    def decoded(self, index: int, decode: Callable[[bytes], Decoded]) -> Decoded:
        """What `decode` makes of the file's bytes. Raises ImageError naming the file."""
        data = self.read(index)
        try:
            return decode(data)
        except ImageError as error:
            raise type(error)(self.file(index), error.reason) from None

    def file(self, index: int) -> str:
        """The name by which a user finds the image."""
        return self.source.label(self.paths[index])

    def keep(self, indices: Indices) -> Split:
        """The same split with these images alone, in this order."""
        at = np.asarray(indices, np.int64)
        shards = None if self.shards is None else self.shards[at]
        return replace(self, files=self.files.take(at), labels=self.labels[at], shards=shards)

    def counts(self) -> dict[str, int]:
        """How many images each class has, in the order of the class list."""
        found = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, found, strict=True))

    def relabelled(self, classes: Sequence[str]) -> Split:
        """The same images with labels that index `classes`, matched by name.

        Raises DataError if a class with images has a name that is not among them.
        """
        index = {name: position for position, name in enumerate(classes)}
        for name, count in self.counts().items():
            if count and name not in index:
                raise DataError(
                    f"{self.where} has a {self.source.class_word} {name!r} that training did not have; "
                    f"{did_you_mean(name, classes)}"
                )
        # -1: a class without images, which no label has.
        positions = np.array([index.get(name, -1) for name in self.classes], np.int32)
        return replace(self, classes=tuple(classes), labels=positions[self.labels])


def split_of(name: str, where: str, source: Source, labels: Sequence[str], files: Files) -> Split:
    """The split of these files, each with its class; the class list is sorted."""
    classes = sorted(set(labels))
    index = {each: position for position, each in enumerate(classes)}
    return Split(name, where, source, tuple(classes), files, np.array([index[each] for each in labels], np.int32))


def fingerprint(*splits: Split) -> str:
    """A hash of every image's name, class and size, whatever their order: enough to tell whether the data changed."""
    in_order = all(line <= following for split in splits for line, following in pairwise(_lines(split)))
    # Images mostly lie in order, which spares a list of a million lines.
    lines = heapq.merge(*map(_lines, splits)) if in_order else sorted(chain(*map(_lines, splits)))
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _lines(split: Split) -> Iterator[str]:
    for path, label, size in zip(split.paths, split.labels, split.files.sizes, strict=True):
        yield f"{path}\0{split.classes[label]}\0{size}\n"


def stratified(whole: Split, share: float, seed: int) -> tuple[Split, Split]:
    """The parts to train on and to evaluate with: every class gives `share` of its images, at least one if it has two, to
    the second."""
    val = np.zeros(len(whole), np.bool_)
    for name, members in zip(whole.classes, _members(whole), strict=True):
        mine = members.tolist()
        # Drawn by the class's name, so that adding a class leaves the others' split alone.
        random.Random(f"{seed}/{name}").shuffle(mine)
        val[mine[: min(max(1, round(share * len(mine))), len(mine) - 1)]] = True
    train, rest = (whole.keep(np.flatnonzero(part)) for part in (~val, val))
    return replace(train, name="train"), replace(rest, name=VAL_PART)


def limited(whole: Split, limit: int, seed: int) -> Split:
    """The split with at most `limit` images of every class, drawn by the seed; with 0, all of it."""
    if not limit:
        return whole
    kept: list[int] = []
    for name, mine in zip(whole.classes, _members(whole), strict=True):
        # Drawn as in `stratified`, by the class's name.
        kept += random.Random(f"{seed}/limit/{name}").sample(mine.tolist(), min(limit, len(mine)))
    return whole.keep(sorted(kept))


def _members(whole: Split) -> list[NDArray[np.int64]]:
    """The images of each class, in order."""
    by_class = np.argsort(whole.labels, kind="stable")
    ends = np.cumsum(np.bincount(whole.labels, minlength=len(whole.classes)))
    return np.split(by_class, ends[:-1])
