"""A million file names in two pieces of memory, which forked workers share however often they read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

CHUNK = 65536  # names copied or decoded at a time, so that temporary memory stays small
UNKNOWN = -1  # a size or a time of change

Indices = Sequence[int] | NDArray[np.integer]


class StringArray(Sequence[str]):
    """A sequence of strings: their bytes, joined, and int64 offsets [n + 1] of where each begins.

    A tuple would hold an object for every name; counting references to them, forked workers would copy them all.
    """

    def __init__(self, names: Iterable[str] = ()):
        # File systems also give names that are not UTF-8.
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self._set(b"".join(encoded), np.fromiter(map(len, encoded), np.int64, len(encoded)))

    @classmethod
    def from_arrays(cls, text: NDArray[np.uint8], lengths: NDArray[np.int64]) -> StringArray:
        """The inverse of `arrays`. Raises ValueError if the two do not belong together."""
        if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != text.size:
            raise ValueError("lengths do not fit the text")
        return cls.__new__(cls)._set(text.tobytes(), lengths)

    @classmethod
    def joined(cls, parts: Sequence[StringArray]) -> StringArray:
        """The strings of all parts, in their order."""
        lengths = [np.diff(part._offsets) for part in parts]
        return cls.__new__(cls)._set(
            b"".join(part._text for part in parts), np.concatenate([np.zeros(0, np.int64), *lengths])
        )

    def _set(self, text: bytes, lengths: NDArray[np.int64]) -> StringArray:
        self._text, self._offsets = text, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return self

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes and the lengths, for a file of arrays."""
        return np.frombuffer(self._text, np.uint8), np.diff(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> StringArray: ...
    def __getitem__(self, index: int | slice) -> str | StringArray:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        index = range(len(self))[index]
        return self._text[self._offsets[index] : self._offsets[index + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("utf-8", "surrogateescape") for name in self.encoded())

    def encoded(self) -> Iterator[bytes]:
        """Every string in UTF-8."""
        for first in range(0, len(self), CHUNK):
            for start, end in pairwise(self._offsets[first : first + CHUNK + 1].tolist()):
                yield self._text[start:end]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StringArray):
            return NotImplemented
        return self._text == other._text and np.array_equal(self._offsets, other._offsets)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"<{len(self)} strings>"

    def take(self, indices: Indices) -> StringArray:
        """The strings at these indices, in this order."""
        chosen = np.arange(len(self))[np.asarray(indices, np.int64)]
        text, lengths = np.frombuffer(self._text, np.uint8), np.diff(self._offsets)[chosen]
        parts = []
        for first in range(0, len(chosen), CHUNK):
            starts, counts = self._offsets[chosen[first : first + CHUNK]], lengths[first : first + CHUNK]
            # Byte k of the new text lies as far behind the start of its string there as here.
            shifts = np.repeat(starts - (np.cumsum(counts) - counts), counts)
            parts.append(text[shifts + np.arange(len(shifts))].tobytes())
        return StringArray.__new__(StringArray)._set(b"".join(parts), lengths)


def is_text(name: str) -> bool:
    """Whether a string can be a name: JSON may hold NUL and surrogates, which cannot be encoded."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in name)


@dataclass(frozen=True, eq=False)
class Files:
    """Files of a source, in order: their names, sizes in bytes int64 [N], and times of their last change int64 [N] in
    nanoseconds. A size or time may be UNKNOWN."""

    names: StringArray
    sizes: NDArray[np.int64]
    changed: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Indices) -> Files:
        """The files at these indices, in this order."""
        at = np.asarray(indices, np.int64)
        return Files(self.names.take(at), self.sizes[at], self.changed[at])

    @classmethod
    def of_names(cls, names: StringArray) -> Files:
        """Files of which only the names are known."""
        unknown = np.full(len(names), UNKNOWN, np.int64)
        return cls(names, unknown, unknown)
