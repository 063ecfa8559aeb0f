"""What is remembered of images between runs, so that a million of them are decoded once.

It lies in index/ in the user's cache folder, never beside the data, as arrays that hold no code. Nothing depends on it:
what is damaged or foreign counts as not there, and what has changed meanwhile does not count.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.string_array import UNKNOWN, Files, Names
from inceptorch.errors import RunError
from inceptorch.utils.files import atomic_write, cache_folder, os_error_reason

FORMAT = "inceptorch index 1"
RECENT = 2_000_000_000  # nanoseconds within which a second change may leave the time of change as it was (on FAT)

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Shard:
    """A tar file of images: its size and time of change; the images' names in it, sorted, where the bytes of each
    begin and how many they are, int64 [N], and what is written of its class."""

    size: int
    changed: int
    names: Names
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: Names


def digests_of(files: Files) -> NDArray[np.uint64]:
    """A number for each file that changes with its name, its size and the time of its last change."""
    states = np.stack([files.sizes, files.changed], 1).tobytes()
    found = bytearray()
    for name, at in zip(files.names.encoded(), range(0, len(states), 16), strict=True):
        found += hashlib.blake2b(name + states[at : at + 16], digest_size=8).digest()
    return np.frombuffer(found, np.uint64)


def are_among(digests: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of the digests is among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(digests), np.bool_)
    return np.equal(known[np.searchsorted(known[:-1], digests)], digests)  # less memory than np.isin


def is_settled(changed: NDArray[np.int64], seen: int) -> NDArray[np.bool_]:
    """Whether what was seen at that time (in nanoseconds) with these times of change must show by them if it changes."""
    settled: NDArray[np.bool_] = (changed != UNKNOWN) & (changed < seen - RECENT)
    return settled


def recall(kind: str, address: str) -> Arrays:
    """The arrays of one kind that were last remembered for an address; none if there are none that can be read."""
    try:
        with open(_path(kind, address), "rb") as opened, np.load(opened, allow_pickle=False) as file:
            if file["format"].tobytes() != FORMAT.encode() or file["address"].tobytes() != _whole(address):
                return {}
            return {name: file[name] for name in file.files}
    except Exception:  # a damaged file provokes whatever it may
        return {}


def remember(kind: str, address: str, arrays: Arrays) -> str | None:
    """Remember arrays, without objects, in the place of what was there; what is wrong if that is not possible."""
    path = _path(kind, address)
    marks = {"format": FORMAT.encode(), "address": _whole(address)}
    whole = {**{name: np.frombuffer(text, np.uint8) for name, text in marks.items()}, **arrays}

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez(file, **whole)  # type: ignore[arg-type]  # its stubs take every name for a flag

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, write)
    except RunError as error:
        return str(error)
    except OSError as error:
        return f"{path.parent} could not be created: {os_error_reason(error)}."
    return None


def recall_shards(address: str) -> dict[str, Shard]:
    """The shards that were last found in a folder, by file name; none if that is not known."""
    found = recall("shards", address)
    try:
        files, names, labels = (_names(found, name) for name in ("files", "names", "labels"))
        ends = np.cumsum(found["counts"]).tolist()
        shards = {}
        for index, file in enumerate(files):
            mine = slice(ends[index - 1] if index else 0, ends[index])
            size, changed = (int(found[name][index]) for name in ("file_sizes", "file_changed"))
            starts, sizes = (found[name][mine].astype(np.int64) for name in ("starts", "sizes"))
            if not len(names[mine]) == len(labels[mine]) == len(starts) == len(sizes):
                return {}
            shards[file] = Shard(size, changed, names[mine], starts, sizes, labels[mine])
        return shards
    except (KeyError, ValueError, IndexError, TypeError):
        return {}


def remember_shards(address: str, shards: dict[str, Shard], seen: int) -> str | None:
    """Remember the shards seen at a time; what is wrong if that is not possible."""
    found = list(shards.values())
    changed = np.array([one.changed for one in found], np.int64)
    none = np.zeros(0, np.int64)
    arrays: Arrays = {
        "file_sizes": np.array([one.size for one in found], np.int64),
        "file_changed": np.where(is_settled(changed, seen), changed, UNKNOWN),
        "counts": np.array([len(one.names) for one in found], np.int64),
        "starts": np.concatenate([none, *(one.starts for one in found)]),
        "sizes": np.concatenate([none, *(one.sizes for one in found)]),
        **_arrays("files", Names(shards)),
        **_arrays("names", Names.joined([one.names for one in found])),
        **_arrays("labels", Names.joined([one.labels for one in found])),
    }
    return remember("shards", address, arrays)


def recall_readable(address: str) -> NDArray[np.uint64]:
    """The digests of the images at an address that could be decoded so far, sorted.

    What could not be decoded is not kept: a disk's or a network's passing fault leaves no trace in a file's state.
    """
    found = recall("checked", address)
    try:
        return np.sort(found["readable"].astype(np.uint64))
    except (KeyError, ValueError, TypeError):
        return np.zeros(0, np.uint64)


def remember_readable(address: str, digests: NDArray[np.uint64]) -> str | None:
    """Remember the digests of images that can be decoded; what is wrong if that is not possible."""
    return remember("checked", address, {"readable": digests})


def _names(arrays: Arrays, name: str) -> Names:
    return Names.from_arrays(arrays[f"{name}.text"].astype(np.uint8), arrays[f"{name}.offsets"].astype(np.int64))


def _arrays(name: str, names: Names) -> Arrays:
    text, offsets = names.arrays()
    return {f"{name}.text": text, f"{name}.offsets": offsets}


def _path(kind: str, address: str) -> Path:
    """The file of one kind of memory for one address: a path, or one with what is meant within it behind a NUL."""
    digest = hashlib.sha256(_whole(address)).hexdigest()[:32]
    return cache_folder() / "index" / f"{digest}.{kind}.npz"


def _whole(address: str) -> bytes:
    root, nul, within = address.partition("\0")
    return os.fsencode(os.path.abspath(root) + nul + within)  # ROOT/WITHIN would be another root's address too
