"""Shards: tar files in the layout of WebDataset, in which KEY.jpg lies beside KEY.cls or KEY.json with its class.

A folder of shards that `inceptorch shards` wrote has an index.json beside them, with the class names and the labels of
all pictures; shards written by others need none.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.folder import HELD_OUT, TRAIN, Split
from inceptorch.data.names import Files, Names, is_text
from inceptorch.data.remembered import Shard, recall_shards, remember_shards
from inceptorch.data.source import Source, is_picture
from inceptorch.errors import DataError, PictureError
from inceptorch.files import reason
from inceptorch.pixels import open_regular

INDEX = "index.json"
FORMAT = "inceptorch shards 1"


@dataclass(frozen=True)
class Entry:
    """What an index says of a shard: its file name, its size, and the class of each picture in it, int32."""

    file: str
    bytes: int
    labels: NDArray[np.int32]

    def fits(self, shard: Shard) -> bool:
        """Whether a shard holds pictures of these classes, in this order."""
        return shard.labels == Names(map(str, self.labels.tolist()))


@dataclass(frozen=True)
class Index:
    classes: tuple[str, ...]
    shards: tuple[Entry, ...]

    def to_json(self) -> str:
        shards = [
            {"file": one.file, "pictures": len(one.labels), "bytes": one.bytes, "labels": one.labels.tolist()}
            for one in self.shards
        ]
        lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in shards)
        classes = json.dumps(self.classes, ensure_ascii=False)
        return f'{{"format": "{FORMAT}",\n"classes": {classes},\n"shards": [\n{lines}\n]}}\n'


class Shards(Source):
    """Shards in a folder, any picture of which can be read. Names are SHARD/MEMBER, sorted."""

    def __init__(self, folder: Path, names: Names, starts: NDArray[np.int64], sizes: NDArray[np.int64]):
        self.folder = folder
        self._names = names
        self._starts = starts
        self._sizes = sizes

    def read(self, path: str) -> bytes:
        index = bisect_left(self._names, path)
        size = int(self._sizes[index])
        try:
            with open_regular(self.folder / path.partition("/")[0]) as file:
                file.seek(int(self._starts[index]))
                data = file.read(size)
        except OSError as error:
            raise PictureError(f"could not be read: {reason(error)}") from None
        if len(data) < size:
            raise PictureError("could not be read: its shard has become shorter")
        return data

    def label(self, path: str) -> str:
        return str(self.folder / path)


def are_shards(path: Path) -> bool:
    """Whether a folder is one of shards: it has tar files, and no folders."""
    try:
        entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
        return any(entry.name.endswith(".tar") for entry in entries) and not any(entry.is_dir() for entry in entries)
    except OSError:
        return False


def part_of(file: str) -> str:
    """The part that a shard belongs to by its name, such as "train" of train-000000.tar; "" if it names none."""
    name = re.sub(r"[-_.]*\d*\.tar$", "", file).lower()
    return name if name in TRAIN + HELD_OUT else ""


def open_shards(folder: Path) -> dict[str, Callable[[], Split]]:
    """How to get each part of a folder of shards; "" where their names tell none apart. Raises DataError."""
    index = None
    if (folder / INDEX).exists():
        try:
            index = read_index((folder / INDEX).read_bytes(), str(folder / INDEX))
        except OSError as error:
            raise DataError(f"{folder / INDEX} could not be read: {reason(error)}.") from None
    files = sorted((path.name for path in folder.glob("*.tar") if not path.name.startswith(".")), key="{}/".format)
    parts = sorted({part_of(file) for file in files})
    if parts[-1]:  # as with folders, what is not named like a part does not count beside those that are
        parts = [part for part in parts if part]
    return {part: partial(_read_part, folder, part, [f for f in files if part_of(f) == part], index) for part in parts}


def _read_part(folder: Path, part: str, files: Sequence[str], index: Index | None) -> Split:
    shards = _scan_all(folder, files)
    if index is not None:
        _check(folder, part, shards, index)
    names = Names.joined([Names(f"{file}/{name}" for name in shard.names) for file, shard in shards.items()])
    starts, sizes = (np.concatenate([getattr(one, what) for one in shards.values()]) for what in ("starts", "sizes"))
    counts = [len(one.names) for one in shards.values()]
    changed = np.repeat([one.changed for one in shards.values()], counts)
    classes, labels = _classes([text for shard in shards.values() for text in shard.labels], index)
    files_found = Files(names, sizes, changed)
    numbers = np.repeat(np.arange(len(shards), dtype=np.int32), counts)
    source = Shards(folder, names, starts, sizes)
    return Split(part, str(folder), source, classes, files_found, labels, numbers)


def _classes(texts: Sequence[str], index: Index | None) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The class list, and a label for each text: a class's name, or its number in the index if there is one."""
    known = set(texts)
    numbered = all(text.isdecimal() for text in known)
    if index is not None and numbered and all(int(text) < len(index.classes) for text in known):
        return index.classes, np.array([int(text) for text in texts], np.int32)
    classes = sorted(known, key=int) if numbered else sorted(known)
    position = {text: number for number, text in enumerate(classes)}
    return tuple(classes), np.array([position[text] for text in texts], np.int32)


def _scan_all(folder: Path, files: Sequence[str]) -> dict[str, Shard]:
    """What is in these shards, by file name; only those that have changed are read through again."""
    address = f"{folder}\0{part_of(files[0])}"
    before, began = recall_shards(address), time.time_ns()
    found = {}
    for file in files:
        path = folder / file
        try:
            stat = path.stat()
            known = before.get(file)
            if known is None or (known.size, known.changed) != (stat.st_size, stat.st_mtime_ns):
                with open_regular(path) as opened:
                    known = scan(opened, str(path), stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise DataError(f"{path} could not be read: {reason(error)}.") from None
        except PictureError as error:
            raise DataError(f"{path} {error}; put the shard itself there.") from None
        found[file] = known
    if list(found) != list(before) or any(found[file] is not before[file] for file in found):
        remember_shards(address, found, began)
    return found


def scan(file: BinaryIO, where: str, size: int, changed: int) -> Shard:
    """Where the pictures of a shard lie and what is written of their classes. Raises DataError naming the shard."""
    places: dict[str, tuple[str, int, int]] = {}  # key: the picture's name, where it begins, its size
    labels: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                folder, slash, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                key = folder + slash + stem
                if not member.isfile() or not stem:
                    continue
                if "." not in suffix and is_picture(name):  # not KEY.mask.png
                    places[key] = (member.name, member.offset_data, member.size)
                elif suffix.lower() in ("cls", "json"):
                    opened = archive.extractfile(member)
                    assert opened is not None  # it is a file
                    label = _label(opened.read(), suffix.lower())
                    if label is not None:
                        labels[key] = label
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # which the library lets pass
                raise tarfile.ReadError("it has no end")
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{where} is no tar file, or is cut off ({error}); copy or make it again.") from None
    for key in places:
        if key not in labels:
            raise DataError(
                f'{where}: there is no class beside {places[key][0]}; it needs {key}.cls, or {key}.json with "label".'
            )
    keys = sorted(places, key=lambda key: places[key][0])
    return Shard(
        size,
        changed,
        Names(places[key][0] for key in keys),
        np.array([places[key][1] for key in keys], np.int64),
        np.array([places[key][2] for key in keys], np.int64),
        Names(labels[key] for key in keys),
    )


def _label(text: bytes, suffix: str) -> str | None:
    """The class that a .cls file holds, as a number or a name, or a .json file under "label"; None for anything else."""
    try:
        label = text.decode("utf-8").strip() if suffix == "cls" else json.loads(text)["label"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(label) is int:
        return str(label)
    return label if isinstance(label, str) and label and is_text(label) else None


def _check(folder: Path, part: str, shards: dict[str, Shard], index: Index) -> None:
    """Raise DataError if the shards are not those of the index."""
    for entry in index.shards:
        if part_of(entry.file) != part:
            continue
        if entry.file not in shards:
            raise DataError(f"{folder / entry.file} is not there, though {INDEX} lists it; copy it there.")
        if shards[entry.file].size != entry.bytes:
            raise DataError(
                f"{folder / entry.file} has {shards[entry.file].size} bytes, where {INDEX} says {entry.bytes}; copy it again."
            )
        if not entry.fits(shards[entry.file]):
            raise DataError(
                f"{folder / entry.file} holds pictures of other classes than {INDEX} lists; write the shards again."
            )


def read_index(text: bytes, where: str) -> Index | None:
    """The index that `inceptorch shards` wrote; None for WebDataset's own, which names no classes. Raises DataError if it is
    damaged or another."""
    try:
        values: Any = json.loads(text)
        if isinstance(values, dict) and "wids_version" in values:
            return None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(
                f"{where} is in a format that this version does not read; write the shards again, or delete this file if they were "
                "not written by `inceptorch shards`."
            )
        classes = tuple(str(name) for name in values["classes"])
        shards = []
        for one in values["shards"]:
            labels = np.array(one["labels"], np.int32)
            if (
                labels.ndim != 1
                or len(labels) != one["pictures"]
                or not ((labels >= 0) & (labels < len(classes))).all()
            ):
                raise ValueError(f"the labels of {one['file']} do not fit")
            shards.append(Entry(str(one["file"]), int(one["bytes"]), labels))
        return Index(classes, tuple(shards))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{where} is damaged ({error}); copy it again, or make the shards again.") from None
