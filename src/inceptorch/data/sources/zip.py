"""A zip file of images."""

from __future__ import annotations

import os
import threading
import zipfile
from bisect import bisect_left
from pathlib import Path

import numpy as np

from inceptorch.data.sources.base import Tree, is_hidden, join
from inceptorch.data.string_array import Files, StringArray
from inceptorch.errors import DataError, ImageError
from inceptorch.utils.files import os_error_reason


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
        names = {entry.filename for entry in entries if not entry.is_dir()}
        self._names = StringArray(sorted(name for name in names if not any(map(is_hidden, name.split("/")))))

    def __reduce__(self) -> tuple[type[Zip], tuple[Path]]:
        return Zip, (self.path,)

    def _archive(self) -> zipfile.ZipFile:
        if getattr(self._open, "pid", None) != os.getpid():
            self._open.archive, self._open.pid = zipfile.ZipFile(self.path), os.getpid()
        archive: zipfile.ZipFile = self._open.archive
        return archive

    def folders(self, within: str = "") -> list[str]:
        start = len(join(within, ""))
        return sorted({name[start:].partition("/")[0] for name in self.files(within) if "/" in name[start:]})

    def files(self, within: str = "") -> StringArray:
        if not within:
            return self._names
        # "0" follows "/" in the order of characters.
        return self._names[bisect_left(self._names, f"{within}/") : bisect_left(self._names, f"{within}0")]

    def files_of(self, names: StringArray) -> Files:
        getinfo = self._archive().getinfo
        sizes = np.fromiter((getinfo(name).file_size for name in names), np.int64, len(names))
        return Files(names, sizes, np.full(len(names), self._changed, np.int64))

    def read(self, path: str) -> bytes:
        try:
            return self._archive().read(path)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise ImageError(self.label(path), f"could not be read from the zip file: {error}") from None
        except Exception as error:  # zlib.error and similar, from a damaged member
            raise ImageError(self.label(path), f"is damaged inside the zip file: {error}") from None

    def label(self, path: str) -> str:
        return f"{self.path}/{path}" if path else str(self.path)
