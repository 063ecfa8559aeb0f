"""An index of images from earlier runs, so that a million of them are decoded once.

It lies in index/ in the user's cache folder, never beside the data, as arrays that hold no code. Nothing depends on it:
a damaged or foreign file counts as missing, and a changed image as unknown.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.string_array import UNKNOWN, Files, StringArray
from inceptorch.errors import RunError
from inceptorch.utils.files import atomic_write, cache_folder, os_error_reason

FORMAT = "inceptorch index 1"
RECENT = 2_000_000_000  # nanoseconds within which a second change may leave the time of change as it was (on FAT)

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Shard:
    """A tar file of images: its size and time of change; the images' names in it, sorted, where the bytes of each
    begin and how many they are, int64 [N], and the class written for it."""

    size: int
    changed: int
    names: StringArray
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: StringArray


def digests_of(files: Files) -> NDArray[np.uint64]:
    """A number for each file that changes with its name, its size and the time of its last change."""
    states = np.stack([files.sizes, files.changed], 1).tobytes()
    digests = bytearray()
    for name, at in zip(files.names.encoded(), range(0, len(states), 16), strict=True):
        digests += hashlib.blake2b(name + states[at : at + 16], digest_size=8).digest()
    return np.frombuffer(digests, np.uint64)


def are_among(digests: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of the digests is among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(digests), np.bool_)
    return np.equal(known[np.searchsorted(known[:-1], digests)], digests)  # less memory than np.isin


def mtime_is_reliable(changed: NDArray[np.int64], seen: int) -> NDArray[np.bool_]:
    """Whether a later change of files must show in these times of change, if they were read at `seen` (nanoseconds)."""
    reliable: NDArray[np.bool_] = (changed != UNKNOWN) & (changed < seen - RECENT)
    return reliable


def load_index(kind: str, address: str) -> Arrays:
    """The arrays of one kind that were last stored for an address; none where there are none that can be read."""
    try:
        with open(_path(kind, address), "rb") as opened, np.load(opened, allow_pickle=False) as file:
            if file["format"].tobytes() != FORMAT.encode() or file["address"].tobytes() != _absolute(address):
                return {}
            return {name: file[name] for name in file.files}
    except Exception:  # a damaged file may raise anything
        return {}


def store_index(kind: str, address: str, arrays: Arrays) -> str | None:
    """Store arrays without objects in place of the last ones; returns the reason where that fails."""
    path = _path(kind, address)
    marks = {"format": FORMAT.encode(), "address": _absolute(address)}
    contents = {**{name: np.frombuffer(text, np.uint8) for name, text in marks.items()}, **arrays}

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez(file, **contents)  # type: ignore[arg-type]  # its stubs take every name for a flag

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, write)
    except RunError as error:
        return str(error)
    except OSError as error:
        return f"Cannot create {path.parent}: {os_error_reason(error)}."
    return None


def load_shards(address: str) -> dict[str, Shard]:
    """The shards that were last stored for a folder, by file name; none where that is not known."""
    found = load_index("shards", address)
    try:
        files, names, labels = (
            StringArray.from_arrays(found[f"{name}.text"].astype(np.uint8), found[f"{name}.lengths"].astype(np.int64))
            for name in ("files", "names", "labels")
        )
        shards = {}
        ends = np.cumsum(found["counts"]).tolist()
        states = zip(
            files, [0, *ends], ends, found["file_sizes"].tolist(), found["file_changed"].tolist(), strict=False
        )
        for file, first, end, size, changed in states:
            starts, sizes = (found[name][first:end].astype(np.int64) for name in ("starts", "sizes"))
            if not len(names[first:end]) == len(labels[first:end]) == len(starts) == len(sizes):
                return {}
            shards[file] = Shard(int(size), int(changed), names[first:end], starts, sizes, labels[first:end])
        return shards
    except (KeyError, ValueError, IndexError, TypeError):
        return {}


def store_shards(address: str, shards: dict[str, Shard], seen: int) -> str | None:
    """Store the shards seen at a time; returns the reason where that fails."""
    values = list(shards.values())
    changed = np.array([shard.changed for shard in values], np.int64)
    none = np.zeros(0, np.int64)
    arrays: Arrays = {
        "file_sizes": np.array([shard.size for shard in values], np.int64),
        "file_changed": np.where(mtime_is_reliable(changed, seen), changed, UNKNOWN),
        "counts": np.array([len(shard.names) for shard in values], np.int64),
        "starts": np.concatenate([none, *(shard.starts for shard in values)]),
        "sizes": np.concatenate([none, *(shard.sizes for shard in values)]),
    }
    for name, strings in (
        ("files", StringArray(shards)),
        ("names", StringArray.joined([shard.names for shard in values])),
        ("labels", StringArray.joined([shard.labels for shard in values])),
    ):
        arrays[f"{name}.text"], arrays[f"{name}.lengths"] = strings.arrays()
    return store_index("shards", address, arrays)


# Not "readable", as up to version 0.2: some images that passed then are refused as damaged now.
DECODABLE = "decodable"


def load_readable(address: str) -> NDArray[np.uint64]:
    """The digests of the images at an address that could be decoded so far, sorted.

    Failures are not kept: a disk's or a network's passing fault leaves no trace in a file's state.
    """
    try:
        return np.sort(load_index("checked", address)[DECODABLE].astype(np.uint64))
    except (KeyError, ValueError, TypeError):
        return np.zeros(0, np.uint64)


def store_readable(address: str, digests: NDArray[np.uint64]) -> str | None:
    """Store the digests of images that can be decoded; returns the reason where that fails."""
    return store_index("checked", address, {DECODABLE: digests})


def _path(kind: str, address: str) -> Path:
    """The file of one kind of index for one address: a path, or a path, NUL and the part of it that is meant."""
    return cache_folder() / "index" / f"{hashlib.sha256(_absolute(address)).hexdigest()[:32]}.{kind}.npz"


def _absolute(address: str) -> bytes:
    root, nul, within = address.partition("\0")
    return os.fsencode(os.path.abspath(root) + nul + within)  # joined to the root, `within` would be another root
