"""Shards: tar files in the layout of WebDataset, in which KEY.jpg lies beside KEY.cls or KEY.json with its class.

A folder of shards that `inceptorch shards` wrote has an index.json beside them, with the class names, and the label and
place of every image; shards written by others need none, unless they are read by URL.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.index_cache import Shard, recall_shards, remember_shards
from inceptorch.data.sources.folders import Source, is_image
from inceptorch.data.sources.remote import read_range, read_url, split_url
from inceptorch.data.split import TRAIN, VAL, Split
from inceptorch.data.string_array import UNKNOWN, Files, Names, is_text
from inceptorch.errors import DataError, ImageError
from inceptorch.utils.files import open_regular, os_error_reason, reading

INDEX = "index.json"
FORMAT = "inceptorch shards 1"
END = 1024  # zero bytes that close a tar file
READERS = 16  # connections that look at shards

ReadRange = Callable[[str, str, int, int], bytes]


@dataclass(frozen=True)
class Entry:
    """What an index says of a shard: its file name, its size, and the class of each image in it, int32 [N]; their
    names, and where the bytes of each begin and how many they are, int64 [N], unless an earlier version wrote it."""

    file: str
    bytes: int
    labels: NDArray[np.int32]
    names: Names
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def fits(self, shard: Shard) -> bool:
        """Whether a shard holds images of these classes, in this order."""
        return shard.labels == Names(map(str, self.labels.tolist()))


@dataclass(frozen=True)
class Index:
    classes: tuple[str, ...]
    shards: tuple[Entry, ...]

    def to_json(self) -> str:
        shards = [
            {"file": one.file, "images": len(one.labels), "bytes": one.bytes, "names": list(one.names)}
            | {name: getattr(one, name).tolist() for name in ("labels", "starts", "sizes")}
            for one in self.shards
        ]
        lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in shards)
        classes = json.dumps(self.classes, ensure_ascii=False)
        return f'{{"format": "{FORMAT}",\n"classes": {classes},\n"shards": [\n{lines}\n]}}\n'


class Shards(Source):
    """Shards in a folder or at a URL, any image of which can be read. Names are SHARD/MEMBER, sorted.

    `read_range(where, shard, start, end)` gives bytes of a shard, and raises OSError.
    """

    def __init__(
        self,
        where: str,
        read_range: ReadRange,
        names: Names,
        starts: NDArray[np.int64],
        sizes: NDArray[np.int64],
        checked: bool = False,
    ):
        self.where = where
        self.checked = checked
        self._read_range = read_range
        self._names = names
        self._starts = starts
        self._sizes = sizes

    def read(self, path: str) -> bytes:
        index = bisect_left(self._names, path)
        start, size = int(self._starts[index]), int(self._sizes[index])
        try:
            data = self._read_range(self.where, path.partition("/")[0], start, start + size)
        except OSError as error:
            raise ImageError(self.label(path), f"could not be read: {os_error_reason(error)}") from None
        if len(data) < size:
            raise ImageError(self.label(path), "could not be read: its shard has become shorter")
        return data

    def label(self, path: str) -> str:
        return f"{self.where}/{PurePosixPath(path)}"


def _read_local(folder: str, file: str, start: int, end: int) -> bytes:
    with open_regular(os.path.join(folder, file)) as opened:
        opened.seek(start)
        return opened.read(end - start)


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
    return name if name in TRAIN + VAL else ""


def open_shards(folder: Path) -> dict[str, Callable[[], Split]]:
    """How to get each part of a folder of shards; "" where their names tell none apart. Raises DataError."""
    index = None
    if (folder / INDEX).exists():
        with reading(folder / INDEX, DataError):
            index = read_index((folder / INDEX).read_bytes(), str(folder / INDEX))
    files = sorted((path.name for path in folder.glob("*.tar") if not path.name.startswith(".")), key="{}/".format)
    parts = sorted({part_of(file) for file in files})
    if parts[-1]:  # as with folders, what is not named like a part does not count beside those that are
        parts = [part for part in parts if part]
    return {part: partial(_read_part, folder, part, [f for f in files if part_of(f) == part], index) for part in parts}


def open_remote(url: str) -> dict[str, Callable[[], Split]]:
    """How to get each part of shards at a URL: those that it names, and where these are those to train on, the other
    parts that the index.json beside them lists. Raises DataError."""
    where = f"{url.rpartition('/')[0]}/{INDEX}"
    try:
        index = read_index(read_url(where), where)
    except OSError as error:
        raise DataError(
            f"Cannot read {where}: {os_error_reason(error)}. Put the index of `inceptorch shards` there."
        ) from None
    if index is None or not all(len(one.names) == len(one.labels) for one in index.shards):
        raise DataError(f"Cannot read {url}: {where} does not say where images lie. Try `inceptorch shards` again.")
    folder, files = split_url(url, {one.file for one in index.shards})
    part = part_of(files[0])
    found: dict[str, list[Entry]] = {}
    for one in sorted(index.shards, key=lambda one: f"{one.file}/"):
        if one.file in files or (part in TRAIN and part_of(one.file) in VAL):
            found.setdefault(part_of(one.file), []).append(one)
    return {part: partial(_read_remote_part, folder, part, entries, index.classes) for part, entries in found.items()}


def _read_remote_part(folder: str, part: str, entries: Sequence[Entry], classes: tuple[str, ...]) -> Split:
    _check_end(folder, entries[0])  # alone, as a server without ranges sends all of it
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(partial(_check_end, folder), entries[1:]))
    names = Names.joined([Names(f"{one.file}/{name}" for name in one.names) for one in entries])
    starts, sizes, labels = (
        np.concatenate([getattr(one, what) for one in entries]) for what in ("starts", "sizes", "labels")
    )
    files = Files(names, sizes, np.full(len(names), UNKNOWN, np.int64))
    shards = np.repeat(np.arange(len(entries), dtype=np.int32), [len(one.labels) for one in entries])
    source = Shards(folder, read_range, names, starts, sizes, checked=True)
    return Split(part, f"{folder}/{part}", source, classes, files, labels, shards)


def _check_end(folder: str, entry: Entry) -> None:
    """Raise DataError if a shard cannot be read, or does not end where the index says."""
    try:
        end = read_range(folder, entry.file, max(0, entry.bytes - END), entry.bytes)
    except OSError as error:
        raise DataError(f"Cannot read {folder}/{entry.file}: {os_error_reason(error)}. Check the server.") from None
    if end != bytes(END):
        raise DataError(f"Cannot read {folder}/{entry.file}: it is cut off, or not the one in {INDEX}. Copy it again.")


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
    source = Shards(str(folder), _read_local, names, starts, sizes)
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
            with reading(path, DataError):
                stat = path.stat()
                known = before.get(file)
                if known is None or (known.size, known.changed) != (stat.st_size, stat.st_mtime_ns):
                    with open_regular(path) as opened:
                        known = scan(opened, str(path), stat.st_size, stat.st_mtime_ns)
        except ImageError as error:
            raise DataError(f"{path} {error.reason}; put the shard itself there.") from None
        found[file] = known
    if list(found) != list(before) or any(found[file] is not before[file] for file in found):
        remember_shards(address, found, began)
    return found


def scan(file: BinaryIO, where: str, size: int, changed: int) -> Shard:
    """Where the images of a shard lie and what is written of their classes. Raises DataError naming the shard."""
    places: dict[str, tuple[str, int, int]] = {}  # key: the image's name, where it begins, its size
    labels: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                folder, slash, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                key = folder + slash + stem
                if not member.isfile() or not stem:
                    continue
                if "." not in suffix and is_image(name):  # not KEY.mask.png
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
                f"{folder / entry.file} holds images of other classes than {INDEX} lists; write the shards again."
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
            names, size = Names(map(str, one.get("names", ()))), int(one["bytes"])
            starts, sizes = (np.array(one.get(name, ()), np.int64) for name in ("starts", "sizes"))
            if (
                labels.ndim != 1
                or len(labels) != one.get("images", one.get("pictures"))
                or not ((labels >= 0) & (labels < len(classes))).all()
            ):
                raise ValueError(f"the labels of {one['file']} do not fit")
            fit = starts.shape == sizes.shape == (len(names),) and len(names) in (0, len(labels))
            if not fit or not ((starts >= 0) & (sizes >= 0) & (sizes <= size - starts)).all():
                raise ValueError(f"the places of {one['file']} do not fit")
            if list(names) != sorted(names):
                raise ValueError(f"the names of {one['file']} are not sorted")
            if "/" in one["file"]:  # it is put behind a URL
                raise ValueError(f"{one['file']} is no file name")
            shards.append(Entry(str(one["file"]), size, labels, names, starts, sizes))
        return Index(classes, tuple(shards))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{where} is damaged ({error}); copy it again, or make the shards again.") from None
