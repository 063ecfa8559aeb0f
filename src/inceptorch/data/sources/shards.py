"""Shards: tar files in the layout of WebDataset, in which KEY.jpg lies beside KEY.cls or KEY.json with its class, or
KEY.image.jpg beside KEY.label.cls.

A folder of shards that `inceptorch shards` wrote has an index.json, with the class names, and the label and position of
every image. Shards from elsewhere need none, unless they are read by URL.
"""

from __future__ import annotations

import json
import os
import tarfile
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from inceptorch.data.index_cache import Shard, load_shards, store_shards
from inceptorch.data.sources.base import Source, is_hidden, is_image
from inceptorch.data.sources.remote import read_range, read_url, split_url
from inceptorch.data.split import Split, group_by_split, split_of, split_words
from inceptorch.data.string_array import UNKNOWN, Files, StringArray, is_text
from inceptorch.errors import DataError, ImageError
from inceptorch.images.limits import check_bytes
from inceptorch.utils.files import open_regular, os_error_reason, reading

INDEX = "index.json"
FORMAT = "inceptorch shards 1"
END = 1024  # zero bytes that close a tar file
MAX_LABEL = 1_000_000  # bytes of a file with a class
IMAGE_FIELDS, LABEL_FIELDS = ("", "image", "img"), ("", "label", "class", "target")  # in front of the suffix
CONNECTIONS = 16  # that check shards at a URL


class Entry(msgspec.Struct, kw_only=True):
    """A shard in an index: its size in bytes, the class of each image, and the name, start and size of each, unless an
    earlier version wrote the index."""

    file: str
    images: int | None = None
    bytes: int
    names: list[str] = []
    labels: list[int]
    starts: list[int] = []
    sizes: list[int] = []

    def check(self, classes: int) -> None:
        """Raise ValueError if the values do not fit together."""
        labels, starts, sizes = (np.array(each, np.int64) for each in (self.labels, self.starts, self.sizes))
        if self.images not in (None, len(labels)) or not ((labels >= 0) & (labels < classes)).all():
            raise ValueError(f"the labels of {self.file} do not fit")
        fit = len(starts) == len(sizes) == len(self.names) and len(self.names) in (0, len(labels))
        if not fit or not ((starts >= 0) & (sizes >= 0) & (sizes <= self.bytes - starts)).all():
            raise ValueError(f"the positions of {self.file} do not fit")
        if self.names != sorted(self.names):
            raise ValueError(f"the names of {self.file} are not sorted")
        if "/" in self.file:  # it is put behind a URL
            raise ValueError(f"{self.file} is not a file name")


class Index(msgspec.Struct):
    """The index of a folder of shards."""

    classes: list[str]
    shards: list[Entry]

    def to_json(self) -> str:
        lines = ",\n".join(msgspec.json.encode(entry).decode() for entry in self.shards)
        classes = json.dumps(self.classes, ensure_ascii=False)
        return f'{{"format": "{FORMAT}",\n"classes": {classes},\n"shards": [\n{lines}\n]}}\n'


class _Header(msgspec.Struct):
    format: Any = None
    wids_version: Any = None


def read_index(text: bytes, where: str) -> Index | None:
    """The index that `inceptorch shards` wrote; None for WebDataset's own, which names no classes. Raises DataError if
    it is damaged or another."""
    try:
        try:
            header = msgspec.json.decode(text, type=_Header)
        except msgspec.ValidationError:  # JSON, but no object
            header = _Header()
        if header.wids_version is not None:
            return None
        if header.format != FORMAT:
            raise DataError(
                f"Cannot read {where}: it is in a format that this version does not read. Write the shards again, or "
                "delete this file if they were not written by `inceptorch shards`."
            )
        index = msgspec.json.decode(text, type=Index)
        for entry in index.shards:
            entry.check(len(index.classes))
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(
            f"Cannot read {where}: it is damaged ({error}). Copy it again, or make the shards again."
        ) from None
    return index


@dataclass(frozen=True, eq=False)
class Shards(Source):
    """Shards in a folder or at a URL, any image of which can be read. Names are SHARD/MEMBER, sorted.

    `read_range(where, shard, start, end)` gives bytes of a shard, and raises OSError.
    """

    where: str
    read_range: Callable[[str, str, int, int], bytes]
    files: Files
    starts: NDArray[np.int64]
    checked: bool = False

    def read(self, path: str) -> bytes:
        index = bisect_left(self.files.names, path)
        start, size = int(self.starts[index]), int(self.files.sizes[index])
        check_bytes(self.label(path), size)
        try:
            data = self.read_range(self.where, path.partition("/")[0], start, start + size)
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
        entries = [entry for entry in os.scandir(path) if not is_hidden(entry.name)]
        return any(entry.name.endswith(".tar") for entry in entries) and not any(entry.is_dir() for entry in entries)
    except OSError:
        return False


def open_shards(folder: Path) -> dict[str, Callable[[], Split]]:
    """The splits of a folder of shards; "" if the shards' names tell none apart. Raises DataError."""
    index = None
    if (folder / INDEX).exists():
        with reading(folder / INDEX, DataError), open_regular(folder / INDEX) as file:
            index = read_index(file.read(), str(folder / INDEX))
    files = sorted((path.name for path in folder.glob("*.tar") if not is_hidden(path.name)), key="{}/".format)
    groups = group_by_split(files, str(folder), lambda file: " ".join(split_words(file)))
    unused = groups.pop("", []) if len(groups) > 1 else []
    # The shards of no split count to the first that is opened.
    return {
        name: partial(_read_split, folder, name, members, index, unused if number == 0 else [])
        for number, (name, members) in enumerate(sorted(groups.items(), key=lambda group: group[0] != "train"))
    }


def _read_split(folder: Path, name: str, files: Sequence[str], index: Index | None, unused: Sequence[str]) -> Split:
    shards = _scan_all(folder, files)
    if index is not None:
        _check(folder, name, shards, index)
    names = StringArray.joined([StringArray(f"{file}/{member}" for member in shards[file].names) for file in files])
    starts, sizes = (np.concatenate([getattr(shard, key) for shard in shards.values()]) for key in ("starts", "sizes"))
    counts = [len(shard.names) for shard in shards.values()]
    changed = np.repeat([shard.changed for shard in shards.values()], counts)
    classes, labels = _classes([text for shard in shards.values() for text in shard.labels], index)
    numbers = np.repeat(np.arange(len(shards), dtype=np.int32), counts)
    found = Files(names, sizes, changed)
    source = Shards(str(folder), _read_local, found, starts)
    return Split(name, str(folder), source, classes, found, labels, numbers, unused=StringArray(unused))


def open_remote(url: str) -> dict[str, Callable[[], Split]]:
    """The splits of the shards that a URL names. If these are training shards, the index.json beside them gives the
    other splits. Raises DataError."""
    where = f"{url.rpartition('/')[0]}/{INDEX}"
    try:
        index = read_index(read_url(where), where)
    except OSError as error:
        raise DataError(
            f"Cannot read {where}: {os_error_reason(error)}. Put the index of `inceptorch shards` there."
        ) from None
    if index is None or not all(len(entry.names) == len(entry.labels) for entry in index.shards):
        raise DataError(f"Cannot read {url}: {where} does not say where images lie. Try `inceptorch shards` again.")
    folder, files = split_url(url, {entry.file for entry in index.shards})
    training = split_of(files[0]) == "train"
    splits: dict[str, list[Entry]] = {}
    for entry in sorted(index.shards, key=lambda entry: f"{entry.file}/"):
        name = split_of(entry.file)
        if entry.file in files or (training and name in ("val", "test")):
            splits.setdefault(name, []).append(entry)
    return {name: partial(_read_remote, folder, name, entries, index.classes) for name, entries in splits.items()}


def _read_remote(folder: str, name: str, entries: Sequence[Entry], classes: Sequence[str]) -> Split:
    _check_end(folder, entries[0])  # alone, as a server without ranges sends all of it
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(partial(_check_end, folder), entries[1:]))
    names = StringArray(f"{entry.file}/{member}" for entry in entries for member in entry.names)
    starts = np.array([start for entry in entries for start in entry.starts], np.int64)
    sizes = np.array([size for entry in entries for size in entry.sizes], np.int64)
    labels = np.array([label for entry in entries for label in entry.labels], np.int32)
    files = Files(names, sizes, np.full(len(names), UNKNOWN, np.int64))
    shards = np.repeat(np.arange(len(entries), dtype=np.int32), [len(entry.labels) for entry in entries])
    source = Shards(folder, read_range, files, starts, checked=True)
    return Split(name, f"{folder}/{name}", source, tuple(classes), files, labels, shards)


def _check_end(folder: str, entry: Entry) -> None:
    """Raise DataError if a shard cannot be read, or does not end where the index says."""
    try:
        end = read_range(folder, entry.file, max(0, entry.bytes - END), entry.bytes)
    except OSError as error:
        raise DataError(f"Cannot read {folder}/{entry.file}: {os_error_reason(error)}. Check the server.") from None
    if end != bytes(END):
        raise DataError(f"Cannot read {folder}/{entry.file}: it is cut off, or not the one in {INDEX}. Copy it again.")


def _classes(texts: Sequence[str], index: Index | None) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The class list, and a label for each text: a class's name, or its number in the index if there is one."""
    known = set(texts)
    numbered = all(text.isdecimal() and len(text) < 20 for text in known)
    if index is not None and numbered and all(int(text) < len(index.classes) for text in known):
        return tuple(index.classes), np.array([int(text) for text in texts], np.int32)
    classes = sorted(known, key=int) if numbered else sorted(known)
    position = {text: number for number, text in enumerate(classes)}
    return tuple(classes), np.array([position[text] for text in texts], np.int32)


def _scan_all(folder: Path, files: Sequence[str]) -> dict[str, Shard]:
    """These shards by file name; only those that have changed are read through again."""
    address = f"{folder}\0{split_of(files[0])}"
    before, began = load_shards(address), time.time_ns()
    shards = {}
    for file in files:
        path = folder / file
        try:
            with reading(path, DataError):
                stat = path.stat()
                known = before.get(file)
                state = (stat.st_size, stat.st_mtime_ns)
                if known is None or (known.size, known.changed) != state or not len(known.names):
                    with open_regular(path) as opened:
                        known = scan(opened, str(path), stat.st_size, stat.st_mtime_ns)
        except ImageError as error:
            raise DataError(f"{path} {error.reason}; put the shard itself there.") from None
        shards[file] = known
    if list(shards) != list(before) or any(shards[file] is not before[file] for file in shards):
        store_shards(address, shards, began)
    return shards


def scan(file: BinaryIO, where: str, size: int, changed: int) -> Shard:
    """The positions and classes of the images in a shard. Raises DataError naming the shard."""
    positions: dict[str, tuple[str, int, int]] = {}  # key: the image's name, where it begins, its size
    labels: dict[str, str] = {}
    others: dict[str, list[str]] = {}  # key: what its other files are called behind it
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                folder, slash, name = member.name.rpartition("/")
                stem, _, field = name.partition(".")
                key = folder + slash + stem
                if not member.isfile() or not stem:
                    continue
                if member.issparse():  # its bytes do not lie there as they are
                    raise DataError(f"{where}: {member.name} is stored as a sparse file. Try tar without --sparse.")
                kind, _, suffix = field.lower().rpartition(".")
                if is_image(name) and kind in IMAGE_FIELDS:  # not KEY.mask.png
                    if positions.setdefault(key, (member.name, 0, 0))[0] != member.name:
                        raise DataError(f"{where}: {positions[key][0]} and {member.name} are one sample; keep one.")
                    positions[key] = (member.name, member.offset_data, member.size)
                    continue
                others.setdefault(key, []).append(f".{field}")
                if suffix in ("cls", "json") and kind in LABEL_FIELDS:
                    if member.size > MAX_LABEL:
                        raise DataError(f"{where}: {member.name} has {member.size:,} bytes, too many for a class.")
                    opened = archive.extractfile(member)
                    assert opened is not None  # it is a file
                    label = _label(opened.read(), suffix)
                    if label is not None:
                        labels[key] = label
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # which the library lets pass
                raise tarfile.ReadError("it has no end")
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{where} is not a complete tar file ({error}); copy or make it again.") from None
    if others and not positions:
        key, found = next(iter(others.items()))
        raise DataError(f"{where} has no images: {key} has {', '.join(found)}. Try an image as {key}.jpg.")
    for key, (image, _, _) in positions.items():
        if key not in labels:
            beside = f", only {', '.join(others[key])}" if key in others else ""
            raise DataError(f'{where}: {image} has no class{beside}; it needs {key}.cls, or {key}.json with "label".')
    keys = sorted(positions, key=lambda key: positions[key][0])
    return Shard(
        size,
        changed,
        StringArray(positions[key][0] for key in keys),
        np.array([positions[key][1] for key in keys], np.int64),
        np.array([positions[key][2] for key in keys], np.int64),
        StringArray(labels[key] for key in keys),
    )


def _label(text: bytes, suffix: str) -> str | None:
    """The class in a .cls file, as a number or a name, or in a .json file under "label"; None for anything else."""
    try:
        label = text.decode("utf-8").strip() if suffix == "cls" else json.loads(text)["label"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(label) is int:
        return str(label)
    return label if isinstance(label, str) and label and is_text(label) else None


def _check(folder: Path, name: str, shards: dict[str, Shard], index: Index) -> None:
    """Raise DataError if the shards are not those of the index."""
    for entry in index.shards:
        if split_of(entry.file) != name:
            continue
        path, shard = folder / entry.file, shards.get(entry.file)
        if shard is None:
            raise DataError(f"{path} is missing, though {INDEX} lists it; copy it there.")
        if shard.size != entry.bytes:
            raise DataError(f"{path} has {shard.size} bytes, where {INDEX} says {entry.bytes}; copy it again.")
        if list(shard.labels) != list(map(str, entry.labels)):
            raise DataError(f"{path} holds images of other classes than {INDEX} lists; write the shards again.")
