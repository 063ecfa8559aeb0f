"""A zip file of images."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from bisect import bisect_left
from pathlib import Path

import numpy as np

from inceptorch.data.sources.base import Tree, is_hidden, join
from inceptorch.data.string_array import Files, StringArray
from inceptorch.errors import DataError, ImageError
from inceptorch.images.limits import check_bytes
from inceptorch.utils.files import os_error_reason


class Zip(Tree):
    """A zip file. Each thread and each worker process opens it for itself. Names with backslashes, which some programs
    write, and names that begin with ./ count as usual ones."""

    def __init__(self, path: Path):
        self.path = path
        self._open = threading.local()
        try:
            entries = self._archive().infolist()
            self._changed = path.stat().st_mtime_ns
        except OSError as error:
            raise DataError(f"Cannot read {path}: {os_error_reason(error)}.") from None
        except NotImplementedError as error:
            raise DataError(f"Cannot read {path}: {error}. Try another program to make it.") from None
        except Exception:  # a damaged directory may raise anything
            raise DataError(f"Cannot read {path}: it is not a zip file, or is damaged. Try another copy.") from None
        stored = {_usual(entry.filename): entry.filename for entry in entries}
        files = (name for name in stored if name and not name.endswith("/"))  # of "./", the top, no name is left
        names = (name for name in files if not any(map(is_hidden, name.split("/"))))
        self._names = StringArray(sorted(names))
        self._stored = {name: written for name, written in stored.items() if name != written}

    def __reduce__(self) -> tuple[type[Zip], tuple[Path]]:
        return Zip, (self.path,)

    def _archive(self) -> zipfile.ZipFile:
        if getattr(self._open, "pid", None) != os.getpid():
            self._open.archive, self._open.pid = zipfile.ZipFile(self.path), os.getpid()
        archive: zipfile.ZipFile = self._open.archive
        return archive

    def entries(self, within: str = "") -> list[str]:
        start = len(join(within, ""))
        return sorted({"".join(name[start:].partition("/")[:2]) for name in self.files(within)})

    def files(self, within: str = "") -> StringArray:
        if not within:
            return self._names
        # "0" follows "/" in the order of characters.
        return self._names[bisect_left(self._names, f"{within}/") : bisect_left(self._names, f"{within}0")]

    def files_of(self, names: StringArray) -> Files:
        sizes = np.fromiter((self._info(name).file_size for name in names), np.int64, len(names))
        return Files(names, sizes, np.full(len(names), self._changed, np.int64))

    def read(self, path: str) -> bytes:
        return self._read(path)

    def head(self, path: str, size: int) -> bytes:
        return self._read(path, size)

    def _read(self, path: str, size: int = -1) -> bytes:
        try:
            info = self._info(path)
            check_bytes(self.label(path), info.file_size)  # of which no more is unpacked
            with self._archive().open(info) as file:
                return file.read(size)
        except ImageError:
            raise
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise ImageError(self.label(path), f"could not be read from the zip file: {error}") from None
        except Exception as error:  # zlib.error and similar, from a damaged member
            raise ImageError(self.label(path), f"is damaged inside the zip file: {error}") from None

    def _info(self, path: str) -> zipfile.ZipInfo:
        return self._archive().getinfo(self._stored.get(path, path))

    def label(self, path: str) -> str:
        return f"{self.path}/{path}" if path else str(self.path)


def _usual(name: str) -> str:
    """A name in an archive as a relative path with slashes; that of a folder ends in one."""
    return re.sub(r"^(\.?/)+", "", name.replace("\\", "/"))
