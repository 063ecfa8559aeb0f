"""Where pictures lie: a folder or a zip file, both as a tree of names whose files can be read."""

from __future__ import annotations

import os
import threading
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path

from inceptorch.errors import DataError, PictureError
from inceptorch.files import reason
from inceptorch.pixels import SUFFIXES

JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")


class Source(ABC):
    """A tree of files. Names are relative, with forward slashes; nothing in the tree is ever written to."""

    @abstractmethod
    def folders(self, within: str = "") -> list[str]:
        """Sorted names of the folders directly in `within`."""

    @abstractmethod
    def files(self, within: str) -> list[str]:
        """Sorted paths of all files at any depth in `within`."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises PictureError."""

    @abstractmethod
    def size(self, path: str) -> int:
        """The size of a file in bytes, -1 where it cannot be told."""

    @abstractmethod
    def label(self, path: str) -> str:
        """The name by which a user finds a file."""

    def pictures(self, within: str) -> list[str]:
        """Sorted paths of all files in `within` whose name ends like a picture's."""
        return [path for path in self.files(within) if os.path.splitext(path)[1].lower() in SUFFIXES]


class Folder(Source):
    def __init__(self, root: Path):
        self.root = root

    def folders(self, within: str = "") -> list[str]:
        path = self.root / within
        try:
            return sorted(e.name for e in os.scandir(path) if e.is_dir() and not _hidden(e.name))
        except OSError as error:
            raise DataError(f"{path} could not be read: {reason(error)}.") from None

    def files(self, within: str) -> list[str]:
        found: list[str] = []
        self._collect(within, found, frozenset())
        return sorted(found)

    def _collect(self, within: str, found: list[str], above: frozenset[str]) -> None:
        path = self.root / within
        real = os.path.realpath(path)
        if real in above:  # a link back to a folder that we are in
            return
        try:
            entries = list(os.scandir(path))
        except OSError as error:
            raise DataError(f"{path} could not be read: {reason(error)}.") from None
        for entry in entries:
            if _hidden(entry.name):
                continue
            name = f"{within}/{entry.name}" if within else entry.name
            if entry.is_dir():
                self._collect(name, found, above | {real})
            else:
                found.append(name)

    def read(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            raise PictureError(f"could not be read: {reason(error)}") from None

    def size(self, path: str) -> int:
        try:
            return (self.root / path).stat().st_size
        except OSError:
            return -1

    def label(self, path: str) -> str:
        return str(self.root / path)  # root / "" is root


class Zip(Source):
    """A zip file. Each thread and each worker process opens it for itself."""

    def __init__(self, path: Path):
        self.path = path
        self._open = threading.local()
        try:
            entries = self._archive().infolist()
        except (OSError, zipfile.BadZipFile) as error:
            why = reason(error) if isinstance(error, OSError) else "it is not a zip file, or is damaged"
            raise DataError(f"{path} could not be read: {why}.") from None
        self._sizes: dict[str, int] = {
            e.filename: e.file_size for e in entries if not e.is_dir() and not _hidden_path(e.filename)
        }

    def _archive(self) -> zipfile.ZipFile:
        if getattr(self._open, "pid", None) != os.getpid():
            self._open.archive, self._open.pid = zipfile.ZipFile(self.path), os.getpid()
        archive: zipfile.ZipFile = self._open.archive
        return archive

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_sizes": self._sizes}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open = threading.local()

    def folders(self, within: str = "") -> list[str]:
        start = f"{within}/" if within else ""
        inside = (name[len(start) :] for name in self._sizes if name.startswith(start))
        return sorted({name.split("/")[0] for name in inside if "/" in name})

    def files(self, within: str) -> list[str]:
        start = f"{within}/" if within else ""
        return sorted(name for name in self._sizes if name.startswith(start))

    def read(self, path: str) -> bytes:
        try:
            return self._archive().read(path)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise PictureError(f"could not be read from the zip file: {error}") from None
        except Exception as error:  # zlib.error and kin, from a damaged member
            raise PictureError(f"is damaged inside the zip file: {error}") from None

    def size(self, path: str) -> int:
        return self._sizes[path]

    def label(self, path: str) -> str:
        return f"{self.path}/{path}" if path else str(self.path)


def open_source(path: Path) -> Source:
    """The folder or zip file at `path`. Raises DataError if there is neither."""
    if path.is_dir():
        return Folder(path)
    if path.suffix.lower() == ".zip" and path.is_file():
        return Zip(path)
    if path.exists():
        raise DataError(f"{path} is neither a folder nor a .zip file; DATA is a folder (or zip) of class folders.")
    raise DataError(f"{path} does not exist.")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK


def _hidden_path(path: str) -> bool:
    return any(_hidden(part) for part in path.split("/"))
