"""A million files in a few pieces of memory, which forked workers share however often they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 65536  # names gathered or decoded at a time, so that temporary memory stays small

UNKNOWN = -1  # a size or a time of change that cannot be told

Indices = Sequence[int] | NDArray[np.integer]


class Names(Sequence[str]):
    """A sequence of strings: their bytes one behind the other, and int64 offsets [n + 1] of where each begins.

    A tuple would hold an object for every name; counting references to them, forked workers would copy them all.
    """

    __slots__ = ("_offsets", "_text")

    def __init__(self, names: Iterable[str] = ()):
        encoded = [_encode(name) for name in names]
        self._text = b"".join(encoded)
        self._offsets = _offsets(np.fromiter(map(len, encoded), np.int64, len(encoded)))

    @classmethod
    def from_arrays(cls, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Names:
        """What `arrays` gave. Raises ValueError if the two do not belong together."""
        ends = offsets.ndim == 1 and len(offsets) and offsets[0] == 0 and offsets[-1] == text.size
        if not ends or (np.diff(offsets) < 0).any():
            raise ValueError("offsets do not fit the text")
        return cls._of(text.tobytes(), offsets.astype(np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Names]) -> Names:
        """The names of all parts, in their order."""
        lengths = [np.diff(part._offsets) for part in parts]
        return cls._of(
            b"".join(part._text for part in parts), _offsets(np.concatenate([np.zeros(0, np.int64), *lengths]))
        )

    @classmethod
    def _of(cls, text: bytes, offsets: NDArray[np.int64]) -> Names:
        names = cls.__new__(cls)
        names._text, names._offsets = text, offsets
        return names

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes and the offsets, for a file of arrays."""
        return np.frombuffer(self._text, np.uint8), self._offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Names: ...
    def __getitem__(self, index: int | slice) -> str | Names:
        if isinstance(index, slice):
            if index.step not in (None, 1):
                return self.take(np.arange(len(self))[index])
            start, stop, _ = index.indices(len(self))
            offsets = self._offsets[start : max(start, stop) + 1]
            return self._of(self._text[offsets[0] : offsets[-1]], offsets - offsets[0])
        count = len(self)
        if not -count <= index < count:
            raise IndexError(index)
        index %= count
        return _decode(self._text[self._offsets[index] : self._offsets[index + 1]])

    def __iter__(self) -> Iterator[str]:
        return map(_decode, self.encoded())

    def encoded(self) -> Iterator[bytes]:
        """Every name in UTF-8."""
        for first in range(0, len(self), AT_ONCE):
            offsets = self._offsets[first : first + AT_ONCE + 1].tolist()
            for start, end in pairwise(offsets):
                yield self._text[start:end]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Names):
            return NotImplemented
        return self._text == other._text and np.array_equal(self._offsets, other._offsets)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"<{len(self)} names>"

    def take(self, indices: Indices) -> Names:
        """The names at these indices, in this order."""
        chosen = np.arange(len(self))[np.asarray(indices, np.int64)]
        text = np.frombuffer(self._text, np.uint8)
        parts = []
        for first in range(0, len(chosen), AT_ONCE):
            some = chosen[first : first + AT_ONCE]
            starts = self._offsets[some]
            to = _offsets(self._offsets[some + 1] - starts)
            # Byte k of the new text lies as far behind its name's start there as here.
            parts.append(text[np.repeat(starts - to[:-1], np.diff(to)) + np.arange(to[-1])].tobytes())
        return self._of(b"".join(parts), _offsets(np.diff(self._offsets)[chosen]))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")  # as file systems give names that are no UTF-8


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def is_text(name: str) -> bool:
    """Whether a string can be a name: JSON may hold NUL and halves of characters, which cannot be encoded."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in name)


@dataclass(frozen=True, eq=False)
class Files:
    """Files of a source, in order: their names within it, sizes in bytes int64 [N], and times of their last change
    int64 [N] in nanoseconds. The numbers are -1 where they cannot be told."""

    names: Names
    sizes: NDArray[np.int64]
    changed: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Indices) -> Files:
        """The files at these indices, in this order."""
        at = np.asarray(indices, np.int64)
        return Files(self.names.take(at), self.sizes[at], self.changed[at])

    @classmethod
    def of_names(cls, names: Names) -> Files:
        """Files of which nothing but the names is known."""
        unknown = np.full(len(names), UNKNOWN, np.int64)
        return cls(names, unknown, unknown)
