"""Class folders: which pictures there are, in which split, of which class."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from inceptorch.data.source import Folder, Source, open_source
from inceptorch.errors import DataError, PictureError, did_you_mean
from inceptorch.pixels import Pixels, Square, decode

TRAIN = ("train", "training")
HELD_OUT = ("val", "valid", "validation", "test")
HELD_OUT_PART = "held-out"  # the name of a split that was drawn, not found
SPLITS = {"train": TRAIN, "val": HELD_OUT[:3], "test": HELD_OUT[3:]}


@dataclass(frozen=True)
class Split:
    """Labelled pictures of one split. `labels` index `classes`; `paths` are names within `source`; `where` is the name
    by which a user finds the split."""

    name: str
    where: str
    source: Source
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> bytes:
        """The file's bytes. Raises PictureError."""
        return self.source.read(self.paths[index])

    def square(self, index: int, pixels: Pixels) -> Square:
        """The picture as the contract's uint8 square [S, S, 3]. Raises PictureError naming the file."""
        return pixels.square(self.image(index))

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB, at its own size. Raises PictureError naming the file."""
        try:
            return decode(self.read(index))
        except PictureError as error:
            raise PictureError(f"{self.file(index)} {error}.") from None

    def file(self, index: int) -> str:
        """The name by which a user finds the picture."""
        return self.source.label(self.paths[index])

    def keep(self, indices: Sequence[int]) -> Split:
        """The same split with these pictures alone, in this order."""
        return replace(self, paths=tuple(self.paths[i] for i in indices), labels=tuple(self.labels[i] for i in indices))

    def counts(self) -> dict[str, int]:
        """How many pictures each class has, in the order of the class list."""
        found = Counter(self.labels)
        return {name: found[index] for index, name in enumerate(self.classes)}

    def relabelled(self, classes: Sequence[str]) -> Split:
        """The same pictures with labels that index `classes`, matched by name.

        Raises DataError if a class folder with pictures has a name that is not among them.
        """
        for name, count in self.counts().items():
            if count and name not in classes:
                raise DataError(
                    f"{self.where} has a class folder {name!r} that training did not have; {did_you_mean(name, classes)}"
                )
        index = {name: position for position, name in enumerate(classes)}
        labels = tuple(index[self.classes[label]] for label in self.labels)
        return replace(self, classes=tuple(classes), labels=labels)


def fingerprint(*splits: Split) -> str:
    """A hash of every picture's name, class and size, whatever their order: enough to tell whether the data changed."""
    lines = [
        f"{path}\0{split.classes[label]}\0{split.source.size(path)}\n"
        for split in splits
        for path, label in zip(split.paths, split.labels, strict=True)
    ]
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def find_train_and_held_out(data: Path, held_out_share: float, seed: int) -> tuple[Split, Split]:
    """The pictures to train on and those to judge with.

    DATA has `train/` with `val/` (or `test/`) beside it, as folders or as zip files, or it is a folder or zip of class
    folders, of which every class then gives `held_out_share` by a split that depends on the seed alone.
    Raises DataError where there are not two classes with pictures, and where the splits' classes differ.
    """
    found = _splits(data)
    held_out: Split | None = None
    if not found:
        train = _read_split(*_unwrapped(open_source(data)), "")
    else:
        train_at, held_out_at = _first(found, TRAIN), _first(found, HELD_OUT)
        if train_at is None:
            raise DataError(f"{data} has {' and '.join(found)} but no train folder beside it.")
        train = _read_split(*train_at)
        if held_out_at is not None:
            held_out = _read_split(*held_out_at)
    _check_training_classes(train)
    if held_out is None:
        train, held_out = stratified(train, held_out_share, seed)
    held_out = held_out.relabelled(train.classes)
    if not len(held_out):
        raise DataError(
            f"{data} has no pictures to judge with; give every class two pictures or more, or add a val folder."
        )
    return train, held_out


def find_split(data: Path, classes: Sequence[str], split: str | None = None) -> Split:
    """The pictures to evaluate: `split` ("train", "val" or "test") of DATA, else its test, val or train folder, in this
    order, else DATA itself.

    Labels index `classes`. Raises DataError for a class that is not among them.
    """
    found = _splits(data)
    if split is not None and split not in SPLITS:
        raise DataError(f"There is no split {split!r}: {did_you_mean(split, SPLITS)}")
    if found:
        chosen = _first(found, SPLITS[split]) if split else _first(found, HELD_OUT[::-1]) or _first(found, TRAIN)
        if chosen is None:
            raise DataError(f"{data} has no {split} folder; it has {' and '.join(found)}.")
    elif split is not None:
        raise DataError(f"{data} is one folder of classes without a {split} folder in it; leave out --split.")
    else:
        chosen = *_unwrapped(open_source(data)), ""
    pictures = _read_split(*chosen).relabelled(classes)
    if not len(pictures):
        raise DataError(f"{data} holds no pictures in class folders.")
    return pictures


Place = tuple[Source, str, str]  # a source, a folder within it, the name of the split that lies there


def _splits(data: Path) -> dict[str, Place]:
    """The split folders (or zip files named like them) in DATA, by name in lower case."""
    source, outer = _unwrapped(open_source(data))
    found: dict[str, Place] = {}
    for name in source.folders(outer):
        within = f"{outer}/{name}" if outer else name
        # A class may be called "train"; a split has class folders in it.
        if name.lower() in TRAIN + HELD_OUT and source.folders(within):
            found[name.lower()] = (source, within, name)
    if isinstance(source, Folder):
        for path in sorted((source.root / outer).glob("*.zip")):
            if path.stem.lower() in TRAIN + HELD_OUT and path.stem.lower() not in found:
                found[path.stem.lower()] = (*_unwrapped(open_source(path), path.stem.lower()), path.stem)
    return found


def _unwrapped(source: Source, split: str = "") -> tuple[Source, str]:
    """The source and the folder in it where things begin: a single folder of folders around everything, as zip files
    often have, is stepped into, unless it is a split (other than the one that the source is)."""
    outer = source.folders()
    wrapped = len(outer) == 1 and outer[0].lower() not in {*TRAIN, *HELD_OUT} - {split} and source.folders(outer[0])
    return source, outer[0] if wrapped else ""


def _first(found: dict[str, Place], names: Sequence[str]) -> Place | None:
    return next((found[name] for name in names if name in found), None)


def _read_split(source: Source, within: str, name: str) -> Split:
    classes = source.folders(within)
    paths, labels = [], []
    for label, folder in enumerate(classes):
        for path in source.pictures(f"{within}/{folder}" if within else folder):
            paths.append(path)
            labels.append(label)
    return Split(name, source.label(within), source, tuple(classes), tuple(paths), tuple(labels))


def _check_training_classes(split: Split) -> None:
    if not split.classes:
        raise DataError(f"{split.where} has no class folders; put the pictures of each class into a folder of its own.")
    for name, count in split.counts().items():
        if not count:
            raise DataError(
                f"{split.where}: the class folder {name!r} holds no pictures; add some, or delete the folder."
            )
    if len(split.classes) == 1:
        raise DataError(
            f"{split.where} has the one class {split.classes[0]!r}; a classifier needs at least two class folders."
        )


def stratified(whole: Split, share: float, seed: int) -> tuple[Split, Split]:
    """The parts to train on and to judge with: every class gives `share` of its pictures, at least one if it has two, to
    the second."""
    train: list[int] = []
    held_out: list[int] = []
    members: list[list[int]] = [[] for _ in whole.classes]
    for index, label in enumerate(whole.labels):
        members[label].append(index)
    for label, mine in enumerate(members):
        # Drawn by the class's name, so that adding a class leaves the others' split alone.
        random.Random(f"{seed}/{whole.classes[label]}").shuffle(mine)
        take = min(max(1, round(share * len(mine))), len(mine) - 1)
        held_out += mine[:take]
        train += mine[take:]
    return replace(whole.keep(sorted(train)), name="train"), replace(whole.keep(sorted(held_out)), name=HELD_OUT_PART)


def limited(whole: Split, limit: int, seed: int) -> Split:
    """The split with at most `limit` pictures of every class, drawn by the seed; with 0, all of it."""
    if not limit:
        return whole
    members: list[list[int]] = [[] for _ in whole.classes]
    for index, label in enumerate(whole.labels):
        members[label].append(index)
    kept: list[int] = []
    for name, mine in zip(whole.classes, members, strict=True):
        # Drawn as in `stratified`, by the class's name.
        kept += random.Random(f"{seed}/limit/{name}").sample(mine, min(limit, len(mine)))
    return whole.keep(sorted(kept))


def find_pictures(path: Path) -> list[str]:
    """The files to predict behind one argument: the file itself, or every picture in a folder, sorted.

    Raises PictureError for a folder without pictures; a missing file is left for whoever opens it.
    """
    if not path.is_dir():
        return [str(path)]
    folder = Folder(path)
    try:
        names = folder.pictures("")
    except DataError as error:
        raise PictureError(str(error)) from None
    if not names:
        raise PictureError("is a folder that holds no pictures")
    return [str(path / name) for name in names]
