"""A split: its images with their classes, and how validation images are drawn from them."""

from __future__ import annotations

import hashlib
import heapq
import random
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.data.sources.base import Source, Unused
from inceptorch.data.string_array import Files, Indices, StringArray, is_text
from inceptorch.errors import DataError, ImageError, did_you_mean
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import ImageArray, Preprocessing

WORDS = {  # what each split may be called in DATA
    "train": ("train", "training", "trainset", "trainval"),
    "val": ("val", "valid", "validation", "valset", "dev", "eval"),
    "test": ("test", "testing", "testset"),
}
SPLITS = tuple(WORDS)
SPLIT_OF_WORD = {word: split for split, words in WORDS.items() for word in words}
MAX_CLASS_NAME = 1000  # characters
MAX_NAMED = 3  # names in a sentence
MAX_LISTED = 12  # classes, each with its number of images
DRAWN_VAL = "validation part"  # the name of a split that training drew itself, which is no folder "validation"
Decoded = TypeVar("Decoded")


@dataclass(frozen=True, eq=False)
class Split:
    """Labeled images: `labels` int32 [N] index `classes`, `files` are names within `source`.

    where   the name of the split in messages
    shards  int32 [N], the number of each image's shard, if there are shards
    within  the folder of the source that holds the class folders, if there are any
    unused  files of the source that lie there and belong to no split

    Class names are in Unicode's composed form (NFC), as systems write the same name in different ones.
    """

    name: str
    where: str
    source: Source
    classes: tuple[str, ...]
    files: Files
    labels: NDArray[np.int32]
    shards: NDArray[np.int32] | None = None
    within: str | None = None
    unused: StringArray = field(default_factory=StringArray)

    def __post_init__(self) -> None:
        """Raise DataError for a class name that is not text, which no file of a run could hold, or too long, and for
        two that are one."""
        for name in self.classes:
            what = f"{self.where}: the name of the {self.class_word} {reprlib.repr(name)}"
            if not is_text(name):
                raise DataError(f"{what} is not in UTF-8; rename it.")
            if len(name) > MAX_CLASS_NAME:
                raise DataError(f"{what} has {len(name)} characters, of at most {MAX_CLASS_NAME}; shorten it.")
        classes = tuple(map(composed, self.classes))
        if len(set(classes)) < len(set(self.classes)):
            name = max(classes, key=classes.count)
            raise DataError(
                f"{self.where} has the {self.class_word} {name!r} twice, its accents in two forms; merge them."
            )
        object.__setattr__(self, "classes", classes)

    @classmethod
    def of_names(cls, name: str, where: str, source: Source, labels: Sequence[str], files: Files) -> Split:
        """The split of these files, each with the name of its class; the class list is sorted."""
        labels = list(map(composed, labels))
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
        return replace(self, classes=tuple(classes), labels=self._positions(classes)[self.labels])

    def _positions(self, classes: Sequence[str]) -> NDArray[np.int32]:
        """Where each class is among `classes`; -1 for one that nothing has."""
        index = {composed(name): position for position, name in enumerate(classes)}
        for name, count in self.counts().items():
            if count and name not in index:
                raise DataError(
                    f"{self.where} has a {self.class_word} {name!r} that training did not have; "
                    f"{did_you_mean(name, classes)}"
                )
        return np.array([index.get(name, -1) for name in self.classes], np.int32)

    def classes_in(self, index: int) -> list[str]:
        """The classes of an image."""
        return [self.classes[self.labels[index]]]

    def describe(self) -> str:
        """The classes with their numbers of images, abbreviated if they are many."""
        return abbreviated_counts(self.counts(), "images")

    def lines(self) -> Iterator[str]:
        """A line for each image with its name, class and size, by which a change of the data is known."""
        for path, label, size in zip(self.paths, self.labels, self.files.sizes, strict=True):
            yield f"{path}\0{self.classes[label]}\0{size}\n"

    def by_class(self) -> Iterator[tuple[str, list[int]]]:
        """Each class with its images, in order."""
        order = np.argsort(self.labels, kind="stable")
        ends = np.cumsum(np.bincount(self.labels, minlength=len(self.classes)))
        for name, members in zip(self.classes, np.split(order, ends[:-1]), strict=True):
            yield name, members.tolist()


def split_words(name: str) -> list[str]:
    """The words in the name of a folder or file that stand for splits, as they are written there."""
    words = re.split(r"[\W\d_]+|(?<=[a-z])(?=[A-Z])", name)
    return sorted({word for word in words if word.lower() in SPLIT_OF_WORD})


def split_of(name: str) -> str:
    """The split that a name means, as "test" is meant by Testing, test_set and imagenet-test-0001.tar; "" if by its
    words it means none, or several."""
    splits = {SPLIT_OF_WORD[word.lower()] for word in split_words(name)}
    return splits.pop() if len(splits) == 1 else ""


def group_by_split(names: Iterable[str], where: str, spelling: Callable[[str], str] = str) -> dict[str, list[str]]:
    """Names that lie side by side, by the split that they mean; those that mean none as "".

    Raises DataError where that could be wrong: for two spellings of one split, and for names that mean none beside a
    single split. These may be another split, or all of them classes.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(split_of(name), []).append(name)
    splits = {split: sorted(set(map(spelling, members))) for split, members in groups.items() if split}
    for split, spellings in splits.items():
        if len(spellings) > 1:
            raise DataError(
                f"Cannot tell the splits of {where}: {abbreviated(spellings)} all mean {split}. Merge them, or "
                "rename all but one."
            )
    if len(splits) == 1 and "" in groups:
        ((one,),) = splits.values()
        raise DataError(
            f"Cannot tell the splits of {where}: {abbreviated(groups[''])} beside {one} may be a split or a class. "
            f"Move it into a split or away; if {one} is a class, rename it."
        )
    return groups


def abbreviated_counts(counts: Mapping[str, int], unit: str) -> str:
    """Each class with its number, or if they are many the fewest and the most of `unit`."""
    listed = [f"{name!r} {count}" for name, count in counts.items()]
    if len(counts) <= MAX_LISTED:
        return ", ".join(listed)
    fewest, most = min(counts.values()), max(counts.values())
    return f"{len(counts)} classes of {fewest} to {most} {unit}: {', '.join(listed[:3])}, ..., {listed[-1]}"


def describe_unused_files(splits: Iterable[Split]) -> str:
    """How many files no split uses, by the reason; "" if there are none."""
    return str(Unused(chain.from_iterable(split.unused for split in splits)))


def abbreviated(names: Sequence[str]) -> str:
    """The first of these names for a message."""
    rest = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return " and ".join(names[:MAX_NAMED]) + rest


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name)


def fingerprint(*splits: Split) -> str:
    """A hash of every image's name, class and size in any order, which tells whether the data changed."""
    in_order = all(line <= following for split in splits for line, following in pairwise(split.lines()))
    # Images mostly lie in order, which spares a list of a million lines.
    each = [split.lines() for split in splits]
    lines = heapq.merge(*each) if in_order else sorted(chain(*each))
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def stratified(whole: Split, val_fraction: float, seed: int) -> tuple[Split, Split]:
    """Training and validation images: each class gives `val_fraction` of its images to validation, and at least one of
    two."""
    val = np.zeros(len(whole), np.bool_)
    for name, members in whole.by_class():
        # Drawn by the class's name, so that adding a class leaves the others' split alone.
        random.Random(f"{seed}/{name}").shuffle(members)
        val[members[: min(max(1, round(val_fraction * len(members))), len(members) - 1)]] = True
    return divided(whole, val)


def divided(whole: Split, val: NDArray[np.bool_]) -> tuple[Split, Split]:
    """Training and validation images, which are those where `val` [N] is true."""
    train, rest = (whole.select(np.flatnonzero(chosen)) for chosen in (~val, val))
    return replace(train, name="train"), replace(rest, name=DRAWN_VAL, unused=StringArray())


def subsample_per_class(whole: Split, limit: int, seed: int) -> Split:
    """The split with at most `limit` images of every class, drawn by the seed; with 0, all of it."""
    if not limit:
        return whole
    chosen: list[int] = []
    for name, members in whole.by_class():
        chosen += random.Random(f"{seed}/limit/{name}").sample(members, min(limit, len(members)))
    return whole.select(sorted(chosen))
