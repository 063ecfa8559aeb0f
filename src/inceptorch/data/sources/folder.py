"""A folder of images."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inceptorch.data.sources.base import Tree, is_hidden, join
from inceptorch.data.string_array import UNKNOWN, Files, StringArray
from inceptorch.errors import DataError, ImageError, MissingImage
from inceptorch.images.limits import read_image_file
from inceptorch.utils.files import open_regular, os_error_reason, reading


class Folder(Tree):
    """A folder of the file system. Files may also be named by a path that leads out of it."""

    def __init__(self, root: Path):
        self.root = root

    def files(self, within: str = "") -> Iterator[str]:
        return self._walk(within, frozenset())

    def _walk(self, within: str, above: frozenset[str]) -> Iterator[str]:
        real = os.path.realpath(self.root / within)
        if real in above:  # a link back to a folder that contains it
            return
        for name in self.entries(within):
            if name.endswith("/"):
                yield from self._walk(join(within, name[:-1]), above | {real})
            else:
                yield join(within, name)

    def entries(self, within: str = "") -> list[str]:
        path = self.root / within
        with reading(path, DataError):
            return sorted(  # with their slash, names of folders sort as whole paths do
                f"{entry.name}/" if _is_folder(entry) else entry.name
                for entry in os.scandir(path)
                if not is_hidden(entry.name)
            )

    def files_of(self, names: StringArray) -> Files:
        sizes, changed = array("q"), array("q")
        root = os.fsencode(self.root)
        for name in names.encoded():
            try:
                state = os.stat(os.path.join(root, name))
                sizes.append(state.st_size)
                changed.append(state.st_mtime_ns)
            except OSError:
                sizes.append(UNKNOWN)
                changed.append(UNKNOWN)
        return Files(names, np.array(sizes, np.int64), np.array(changed, np.int64))

    def read(self, path: str) -> bytes:
        try:
            return read_image_file(self.root / path)
        except FileNotFoundError:
            raise MissingImage(self.label(path), "does not exist") from None
        except OSError as error:
            raise ImageError(self.label(path), f"could not be read: {os_error_reason(error)}") from None

    def head(self, path: str, size: int) -> bytes:
        try:
            with open_regular(self.root / path) as file:
                return file.read(size)
        except OSError as error:
            raise ImageError(self.label(path), f"could not be read: {os_error_reason(error)}") from None

    def label(self, path: str) -> str:
        return str(self.root / path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, which reading reports
        return False
