"""A source: files that are read by name. A tree is one with folders."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable

from inceptorch.data.string_array import Files, StringArray
from inceptorch.images.decode import SUFFIXES

JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")


class Source(ABC):
    """Files that are read by name. Nothing in a source is ever written to."""

    checked: bool = False  # whether its images are known to be readable without decoding them

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises ImageError."""

    @abstractmethod
    def label(self, path: str) -> str:
        """The name of a file in messages."""


class Tree(Source):
    """A tree of files. Names are relative, with forward slashes; hidden files are left out."""

    @abstractmethod
    def folders(self, within: str = "") -> list[str]:
        """Sorted names of the folders directly in `within`."""

    @abstractmethod
    def files(self, within: str = "") -> Iterable[str]:
        """Sorted paths of all files at any depth in `within`."""

    @abstractmethod
    def files_of(self, names: StringArray) -> Files:
        """These files with their sizes and times of change."""

    def classes(self, within: str) -> tuple[list[str], list[int], Files]:
        """The class folders directly in `within`, the number of images in each at any depth, and these images: folder
        by folder, each sorted. Raises DataError."""
        names = self.folders(within)
        images = [StringArray(filter(is_image, self.files(join(within, name)))) for name in names]
        return names, [len(each) for each in images], self.files_of(StringArray.joined(images))

    def others(self, within: str) -> Files:
        """The files in `within` that are no image of a class: no image by name, or in no class folder."""
        start = len(join(within, ""))
        names = (path for path in self.files(within) if not is_image(path) or "/" not in path[start:])
        return self.files_of(StringArray(names))


def join(folder: str, name: str) -> str:
    """The path of a name in a folder of a tree, whose root is ""."""
    return f"{folder}/{name}" if folder else name


def is_image(path: str) -> bool:
    """Whether a file has an image's suffix."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK
