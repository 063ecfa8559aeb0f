"""A source: files that are read by name. A tree is one with folders."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable

from inceptorch.data.string_array import Files, StringArray
from inceptorch.images.decode import SUFFIXES

# What systems and storage devices leave in folders, in lower case.
JUNK = frozenset(
    [
        "__macosx",
        "icon\r",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "system volume information",
        "$recycle.bin",
        "recycler",
        "#recycle",
        "@recycle",
        "#snapshot",
        "@eadir",
        "lost+found",
    ]
)


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
    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file, at most `size`. Raises ImageError."""

    @abstractmethod
    def entries(self, within: str = "") -> list[str]:
        """Sorted names of what lies directly in `within`; those of folders end in a slash."""

    @abstractmethod
    def files(self, within: str = "") -> Iterable[str]:
        """Sorted paths of all files at any depth in `within`."""

    @abstractmethod
    def files_of(self, names: StringArray) -> Files:
        """These files with their sizes and times of change."""

    def folders(self, within: str = "") -> list[str]:
        """Sorted names of the folders directly in `within`."""
        return sorted(name[:-1] for name in self.entries(within) if name.endswith("/"))

    def loose(self, within: str) -> list[str]:
        """Paths of the files directly in `within`, sorted."""
        return [join(within, name) for name in self.entries(within) if not name.endswith("/")]

    def classes(self, within: str) -> tuple[list[str], list[int], Files, list[str]]:
        """The class folders directly in `within`, the number of images in each at any depth, and these images: folder
        by folder, each sorted. Then the paths of all other files in `within`. Raises DataError."""
        names, images, others = self.folders(within), [], self.loose(within)
        for name in names:
            of_class: list[str] = []
            for path in self.files(join(within, name)):
                (of_class if is_image(path) else others).append(path)
            images.append(StringArray(of_class))
        return names, [len(each) for each in images], self.files_of(StringArray.joined(images)), others


def join(folder: str, name: str) -> str:
    """The path of a name in a folder of a tree, whose root is ""."""
    return f"{folder}/{name}" if folder else name


def is_image(path: str) -> bool:
    """Whether a file has an image's suffix."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


class Unused:
    """How many files are not used, by the reason that their names tell, with an example of each. As text, "" for
    none."""

    def __init__(self, names: Iterable[str] = ()):
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        suffix = os.path.splitext(name)[1].lower()
        what = "outside the class folders" if is_image(name) else suffix or "without a suffix"
        self._counts[what] += 1
        self._examples.setdefault(what, name)

    def __str__(self) -> str:
        return ", ".join(f"{self._counts[what]} {what} ({name})" for what, name in self._examples.items())


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK
