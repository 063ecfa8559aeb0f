"""A split: its images with their classes, and how validation images are drawn from them."""

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

from inceptorch.data.sources.base import Source
from inceptorch.data.string_array import Files, Indices, StringArray, is_text
from inceptorch.errors import DataError, ImageError, did_you_mean
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import ImageArray, Preprocessing

TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation", "test")
SPLITS = {
    "train": TRAIN_NAMES,
    "val": VAL_NAMES[:3],
    "test": VAL_NAMES[3:],
}  # a split and what it may be called in DATA
DRAWN_VAL = "validation part"  # the name of a split that training drew itself, which is no folder "validation"
Decoded = TypeVar("Decoded")


@dataclass(frozen=True, eq=False)
class Split:
    """Labeled images: `labels` int32 [N] index `classes`, `files` are names within `source`.

    where   the name of the split in messages
    shards  int32 [N], the number of each image's shard, if there are shards
    within  the folder of the source that holds the class folders, if there are any
    """

    name: str
    where: str
    source: Source
    classes: tuple[str, ...]
    files: Files
    labels: NDArray[np.int32]
    shards: NDArray[np.int32] | None = None
    within: str | None = None

    def __post_init__(self) -> None:
        """Raise DataError for a class name that is not text, which no file of a run could hold."""
        for name in self.classes:
            if not is_text(name):
                raise DataError(f"{self.where}: the name of the {self.class_word} {name!r} is not in UTF-8; rename it.")

    @classmethod
    def of_names(cls, name: str, where: str, source: Source, labels: Sequence[str], files: Files) -> Split:
        """The split of these files, each with the name of its class; the class list is sorted."""
        classes = sorted(set(labels))
        index = {each: position for position, each in enumerate(classes)}
        return cls(name, where, source, tuple(classes), files, np.array([index[each] for each in labels], np.int32))

    def __len__(self) -> int:
        return len(self.files)

    @property
    def class_word(self) -> str:
        """The word for a class in messages."""
        return "class" if self.within is None else "class folder"

    @property
    def paths(self) -> StringArray:
        """The images' names within the source."""
        return self.files.names

    def file(self, index: int) -> str:
        """The name of an image in messages."""
        return self.source.label(self.paths[index])

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
        """The file's bytes, decoded. Raises ImageError naming the file."""
        data = self.read(index)
        try:
            return decode(data)
        except ImageError as error:
            raise type(error)(self.file(index), error.reason) from None

    def select(self, indices: Indices) -> Split:
        """The same split with these images alone, in this order."""
        at = np.asarray(indices, np.int64)
        shards = None if self.shards is None else self.shards[at]
        return replace(self, files=self.files.take(at), labels=self.labels[at], shards=shards)

    def counts(self) -> dict[str, int]:
        """The number of images of each class, in the order of the class list."""
        counts = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counts, strict=True))

    def with_classes(self, classes: Sequence[str]) -> Split:
        """The same images with labels that index `classes`, matched by name.

        Raises DataError if a class with images has a name that is not among them.
        """
        index = {name: position for position, name in enumerate(classes)}
        for name, count in self.counts().items():
            if count and name not in index:
                raise DataError(
                    f"{self.where} has a {self.class_word} {name!r} that training did not have; "
                    f"{did_you_mean(name, classes)}"
                )
        # -1: a class without images, which no label has.
        positions = np.array([index.get(name, -1) for name in self.classes], np.int32)
        return replace(self, classes=tuple(classes), labels=positions[self.labels])

    def by_class(self) -> Iterator[tuple[str, list[int]]]:
        """Each class with its images, in order."""
        order = np.argsort(self.labels, kind="stable")
        ends = np.cumsum(np.bincount(self.labels, minlength=len(self.classes)))
        for name, members in zip(self.classes, np.split(order, ends[:-1]), strict=True):
            yield name, members.tolist()


def fingerprint(*splits: Split) -> str:
    """A hash of every image's name, class and size in any order, which tells whether the data changed."""
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


def stratified(whole: Split, val_fraction: float, seed: int) -> tuple[Split, Split]:
    """Training and validation images: each class gives `val_fraction` of its images to validation, and at least one of
    two."""
    val = np.zeros(len(whole), np.bool_)
    for name, members in whole.by_class():
        # Drawn by the class's name, so that adding a class leaves the others' split alone.
        random.Random(f"{seed}/{name}").shuffle(members)
        val[members[: min(max(1, round(val_fraction * len(members))), len(members) - 1)]] = True
    train, rest = (whole.select(np.flatnonzero(chosen)) for chosen in (~val, val))
    return replace(train, name="train"), replace(rest, name=DRAWN_VAL)


def subsample_per_class(whole: Split, limit: int, seed: int) -> Split:
    """The split with at most `limit` images of every class, drawn by the seed; with 0, all of it."""
    if not limit:
        return whole
    chosen: list[int] = []
    for name, members in whole.by_class():
        chosen += random.Random(f"{seed}/limit/{name}").sample(members, min(limit, len(members)))
    return whole.select(sorted(chosen))
