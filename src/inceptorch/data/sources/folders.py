"""Where images lie: a folder or a zip file, both as a tree of names whose files can be read."""

from __future__ import annotations

import os
import threading
import zipfile
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from inceptorch.data.string_array import UNKNOWN, Files, Names
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import SUFFIXES
from inceptorch.utils.files import open_regular, os_error_reason, reading

JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")


class Source(ABC):
    """Files that are read by their names. Nothing in a source is ever written to."""

    checked = False  # whether its images need not be decoded to know that they can be
    class_word = "class"  # what a class is called in sentences

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises ImageError."""

    @abstractmethod
    def label(self, path: str) -> str:
        """The name by which a user finds a file."""


class Tree(Source):
    """A tree of files. Names are relative, with forward slashes."""

    class_word = "class folder"

    @abstractmethod
    def folders(self, within: str = "") -> list[str]:
        """Sorted names of the folders directly in `within`."""

    @abstractmethod
    def files(self, within: str) -> list[str]:
        """Sorted paths of all files at any depth in `within`."""

    @abstractmethod
    def classes(self, within: str) -> tuple[list[str], list[int], Files]:
        """The folders directly in `within`, how many images each holds at any depth, and these images: folder by
        folder, each sorted. Raises DataError."""

    def images(self, within: str) -> list[str]:
        """Sorted paths of all files in `within` whose name ends like an image's."""
        return [path for path in self.files(within) if is_image(path)]

    @abstractmethod
    def files_of(self, names: Names) -> Files:
        """These files with their sizes and times of change."""

    def others(self, within: str) -> Files:
        """The files at any depth in `within` that are no image of a class: those whose name does not end like a
        image's, and those in none of the folders there."""
        start = len(within) + 1 if within else 0
        return self.files_of(
            Names(path for path in self.files(within) if not is_image(path) or "/" not in path[start:])
        )


class Folder(Tree):
    """A folder of the file system."""

    def __init__(self, root: Path):
        self.root = root

    def folders(self, within: str = "") -> list[str]:
        path = self.root / within
        with reading(path, DataError):
            return sorted(e.name for e in os.scandir(path) if _is_folder(e) and not _hidden(e.name))

    def files(self, within: str) -> list[str]:
        return list(self._each(within))

    def classes(self, within: str) -> tuple[list[str], list[int], Files]:
        names = self.folders(within)
        images = [Names(filter(is_image, self._each(f"{within}/{name}" if within else name))) for name in names]
        return names, [len(one) for one in images], self.files_of(Names.joined(images))

    def files_of(self, names: Names) -> Files:
        sizes, changed = array("q"), array("q")
        with _stat_within(self.root) as stat:
            for name in names.encoded():
                try:
                    state = stat(name)
                    sizes.append(state.st_size)
                    changed.append(state.st_mtime_ns)
                except OSError:
                    sizes.append(UNKNOWN)
                    changed.append(UNKNOWN)
        return Files(names, np.array(sizes, np.int64), np.array(changed, np.int64))

    def each_image(self) -> Iterator[str]:
        """As `images("")`, one by one: no more is kept in memory than the names in the folders on the way to each."""
        return filter(is_image, self._each(""))

    def _each(self, within: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
        """Sorted paths of all files at any depth in `within`."""
        path = self.root / within
        real = os.path.realpath(path)
        if real in above:  # a link back to a folder that we are in
            return
        with reading(path, DataError):
            # With its slash, a folder stands where its files do among sorted paths.
            names = sorted(
                f"{entry.name}/" if _is_folder(entry) else entry.name
                for entry in os.scandir(path)
                if not _hidden(entry.name)
            )
        for name in names:
            inner = f"{within}/{name}" if within else name
            if inner.endswith("/"):
                yield from self._each(inner[:-1], above | {real})
            else:
                yield inner

    def read(self, path: str) -> bytes:
        try:
            with open_regular(self.root / path) as file:
                return file.read()
        except OSError as error:
            raise ImageError(self.label(path), f"could not be read: {os_error_reason(error)}") from None

    def label(self, path: str) -> str:
        return str(self.root / path)  # root / "" is root


class Listed(Folder):
    """Files by their paths from a folder, which need not lie in it; their classes come from elsewhere."""

    class_word = "class"


class Zip(Tree):
    """A zip file. Each thread and each worker process opens it for itself."""

    def __init__(self, path: Path):
        self.path = path
        self._open = threading.local()
        try:
            entries = self._archive().infolist()
            self._changed = path.stat().st_mtime_ns
        except (OSError, zipfile.BadZipFile) as error:
            why = os_error_reason(error) if isinstance(error, OSError) else "it is not a zip file, or is damaged"
            raise DataError(f"{path} could not be read: {why}.") from None
        sizes = {e.filename: e.file_size for e in entries if not e.is_dir() and not _hidden_path(e.filename)}
        self._names = Names(sorted(sizes))
        self._sizes = np.array([sizes[name] for name in self._names], np.int64)

    def _archive(self) -> zipfile.ZipFile:
        if getattr(self._open, "pid", None) != os.getpid():
            self._open.archive, self._open.pid = zipfile.ZipFile(self.path), os.getpid()
        archive: zipfile.ZipFile = self._open.archive
        return archive

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_open"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open = threading.local()

    def _range(self, within: str) -> range:
        """Where the names that begin with the folder `within` lie among all, which are sorted."""
        if not within:
            return range(len(self._names))
        # "0" is the character behind "/".
        return range(bisect_left(self._names, f"{within}/"), bisect_left(self._names, f"{within}0"))

    def folders(self, within: str = "") -> list[str]:
        found, inside = [], self._range(within)
        index, depth = inside.start, len(within) + 1 if within else 0
        while index < inside.stop:
            name, slash, _ = self._names[index][depth:].partition("/")
            if slash:
                found.append(name)
                index = self._range(self._names[index][: depth + len(name)]).stop
            else:
                index += 1
        return sorted(found)

    def files(self, within: str) -> list[str]:
        inside = self._range(within)
        return list(self._names[inside.start : inside.stop])

    def classes(self, within: str) -> tuple[list[str], list[int], Files]:
        classes = self.folders(within)
        counts: list[int] = []
        chosen: list[int] = []
        for name in classes:
            inside = self._range(f"{within}/{name}" if within else name)
            before = len(chosen)
            chosen += [
                i for i, path in zip(inside, self._names[inside.start : inside.stop], strict=True) if is_image(path)
            ]
            counts.append(len(chosen) - before)
        return classes, counts, self._files_at(chosen)

    def files_of(self, names: Names) -> Files:
        return self._files_at([bisect_left(self._names, name) for name in names])

    def _files_at(self, indices: Sequence[int]) -> Files:
        at = np.array(indices, np.int64)
        return Files(self._names.take(at), self._sizes[at], np.full(len(at), self._changed, np.int64))

    def read(self, path: str) -> bytes:
        try:
            return self._archive().read(path)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise ImageError(self.label(path), f"could not be read from the zip file: {error}") from None
        except Exception as error:  # zlib.error and kin, from a damaged member
            raise ImageError(self.label(path), f"is damaged inside the zip file: {error}") from None

    def label(self, path: str) -> str:
        return f"{self.path}/{path}" if path else str(self.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: for whoever opens it
        return False


def open_tree(path: Path) -> Tree:
    """The folder or zip file at `path`. Raises DataError if there is neither."""
    if path.is_dir():
        return Folder(path)
    if path.suffix.lower() == ".zip" and path.is_file():
        return Zip(path)
    if path.exists():
        raise DataError(
            f"{path} is neither a folder nor a .zip file, nor a list of images in a .csv or .jsonl file; DATA is a "
            "folder (or zip) of class folders."
        )
    raise DataError(f"{path} does not exist.")


@contextmanager
def _stat_within(folder: Path) -> Iterator[Callable[[bytes], os.stat_result]]:
    """os.stat for names within a folder, which are shorter for the system than whole paths where it takes them."""
    if os.stat not in os.supports_dir_fd:  # Windows
        root = os.fsencode(folder)
        yield lambda name: os.stat(os.path.join(root, name))
        return
    with reading(folder, DataError):
        number = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY))
    try:
        yield partial(os.stat, dir_fd=number)
    finally:
        os.close(number)


def is_image(path: str) -> bool:
    """Whether a file's name ends like an image's."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK


def _hidden_path(path: str) -> bool:
    return any(_hidden(part) for part in path.split("/"))
