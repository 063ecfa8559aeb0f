"""Features on disk. Rows are added in files that are written whole or not at all: what a killed process had written
stays, and the next one computes the rest."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.errors import DiskError
from inceptorch.utils.files import atomic_write, os_error_reason, write_text

ROWS = 512  # of a file, and of a block in memory
TURNED, DEEP, TRANSPARENT = 1, 2, 4  # flags: turned upright by EXIF, 16 bits per channel, not opaque
UNKNOWN_DIGEST = 0  # of an image that a later run cannot recognize


def row_type(dim: int) -> np.dtype[Any]:
    """A row: by what the image is known, its size and format as a file, and its features."""
    return np.dtype(
        [
            ("digest", "<u8"),
            ("width", "<i4"),
            ("height", "<i4"),
            ("format", "S8"),
            ("flags", "<u4"),
            ("features", "<f4", (dim,)),
        ]
    )


class FeatureStore:
    """Rows of features in a folder, of one network and one preprocessing; `about` says which, for people."""

    def __init__(self, folder: Path, dim: int, about: Mapping[str, Any]):
        self.folder, self.type = folder, row_type(dim)
        self.files: list[NDArray[Any]] = []
        self._pending: list[NDArray[Any]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(
                f"Cannot create {folder}: {os_error_reason(error)}. Set INCEPTORCH_HOME to another folder."
            ) from None
        if not (folder / "about.json").exists():
            write_text(folder / "about.json", json.dumps(about, indent=1) + "\n")
        for path in sorted(folder.glob("*.npy")):
            try:
                rows = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError):  # damaged: its images are computed again
                continue
            if rows.dtype == self.type and rows.ndim == 1:
                self.files.append(rows)

    def positions(self, digests: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where the row of each image is, [N, 2]: file and row; -1 where it is missing."""
        known: dict[int, tuple[int, int]] = {}
        for number, rows in enumerate(self.files):
            known.update({digest: (number, row) for row, digest in enumerate(rows["digest"].tolist())})
        known.pop(UNKNOWN_DIGEST, None)
        return np.array([known.get(digest, (-1, -1)) for digest in digests.tolist()], np.int64).reshape(-1, 2)

    def append(self, rows: NDArray[Any]) -> list[tuple[int, int]]:
        """Add rows; returns where they are. They are on disk in full files, or after `flush`."""
        places = []
        for row in rows:
            places.append((len(self.files), len(self._pending)))
            self._pending.append(row)
            if len(self._pending) == ROWS:
                self.flush()
        return places

    def flush(self) -> None:
        """Write what was added. Raises DiskError."""
        if not self._pending:
            return
        rows = np.array(self._pending, self.type)
        path = self.folder / f"{len(self.files):06}-{os.getpid()}-{uuid.uuid4().hex[:8]}.npy"

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.save(file, rows, allow_pickle=False)

        atomic_write(path, write)
        self.files.append(np.load(path, mmap_mode="r", allow_pickle=False))
        self._pending = []


class Features:
    """Features of a set of images, in its order: `files` of rows, and where in them each image is, [N, 2]. They lie on
    disk and are read in blocks."""

    def __init__(self, files: Sequence[NDArray[Any]], positions: NDArray[np.int64]):
        self.files, self.positions = files, positions

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def dim(self) -> int:
        return int(self.files[0]["features"].shape[1])

    def column(self, name: str, indices: NDArray[np.int64] | slice = slice(None)) -> NDArray[Any]:
        """One value of each row, such as "width", or "features", float32 [N, dim]."""
        chosen = self.positions[indices]
        like = self.files[0][name]
        out = np.empty((len(chosen), *like.shape[1:]), like.dtype)
        for number in np.unique(chosen[:, 0]):
            mine = chosen[:, 0] == number
            out[mine] = self.files[number][name][chosen[mine, 1]]
        return out

    def take(self, indices: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float32]:
        """The features of some images, float32 [N, dim]."""
        return self.column("features", indices)

    def blocks(self, rows: int = ROWS) -> Iterator[NDArray[np.float32]]:
        """All features in order, a block at a time."""
        for start in range(0, len(self), rows):
            yield self.take(slice(start, start + rows))

    def __add__(self, other: Features) -> Features:
        """The images of both, one set behind the other."""
        moved = other.positions + np.array([len(self.files), 0])
        return Features([*self.files, *other.files], np.concatenate([self.positions, moved]))
