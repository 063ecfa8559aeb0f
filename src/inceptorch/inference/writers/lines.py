"""Predictions as text, in lines: JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inceptorch.errors import RunError
from inceptorch.inference.inputs import Entry
from inceptorch.inference.writers.base import PredictionWriter


class Lines(PredictionWriter):
    """Text; bytes after the number in the sidecar are of an unfinished chunk, and cut off."""

    @property
    def text(self) -> Path:
        """The file with the lines."""
        return self.path

    def _begin(self, new: bool) -> None:
        size = self.text.stat().st_size if self.text.exists() else 0
        if size < self.state.bytes:
            raise RunError(f"Cannot resume {self.text}: it has lost lines. Delete it and {self.sidecar} to begin anew.")
        if size > self.state.bytes:
            self._guarded(lambda: os.truncate(self.text, self.state.bytes))

    def _append(self, entries: list[Entry]) -> None:
        with open(self.text, "ab") as file:
            # Halves of characters, in names that are no UTF-8, become escapes that JSON knows too.
            file.write(self._text(entries).encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            self.state.bytes = file.tell()

    def _complete(self) -> None:
        self.text.touch()

    @abstractmethod
    def _text(self, entries: list[Entry]) -> str:
        """The lines of a chunk."""


class JsonLines(Lines):
    """The entries of `predict --json`, one a line."""

    def _text(self, entries: list[Entry]) -> str:
        return "".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n" for entry in entries)


# A spreadsheet would run cells that begin so; the page's csv.js has the same rule.
FORMULA = re.compile(r"^[=+\-@\t\r\n]")


class Table(Lines):
    """CSV; columns that do not apply are empty. Text that a spreadsheet would take for a formula has ' in front."""

    _columns: Sequence[str]

    def _text(self, entries: list[Entry]) -> str:
        text = io.StringIO(newline="")
        rows = csv.DictWriter(text, self._columns, lineterminator="\n")
        if self.state.bytes == 0:
            rows.writeheader()
        for row in (row for entry in entries for row in self._rows(entry)):
            rows.writerow(
                {key: FORMULA.sub(r"'\g<0>", value) if isinstance(value, str) else value for key, value in row.items()}
            )
        return text.getvalue()

    @abstractmethod
    def _rows(self, entry: Entry) -> Iterable[dict[str, Any]]:
        """The rows of an image."""


class Csv(Table):
    """A row for each image: file, label1, probability1, ..., unknown, error; before the last `more` columns."""

    def __init__(
        self, path: Path, provenance: dict[str, Any], images_per_batch: int, top: int, more: Sequence[str] = ()
    ):
        classes = [f"{key}{rank}" for rank in range(1, top + 1) for key in ("label", "probability")]
        self._kept = ("file", "unknown", *more, "error")
        self._columns = ["file", *classes, *self._kept[1:]]
        super().__init__(path, provenance, images_per_batch)

    def _rows(self, entry: Entry) -> Iterable[dict[str, Any]]:
        row: Entry = {key: entry[key] for key in self._kept if key in entry}
        for rank, one in enumerate(entry.get("predictions", ()), 1):
            row |= {f"label{rank}": one["label"], f"probability{rank}": one["probability"]}
        yield row


class BoxCsv(Table):
    """A row for each box, in pixels of the upright image; an image without boxes has one row, too."""

    _columns = ("file", "label", "score", "left", "top", "width", "height", "error")

    def _rows(self, entry: Entry) -> Iterable[dict[str, Any]]:
        for box in entry.get("boxes", ()):
            sides = dict(zip(("left", "top", "width", "height"), box["box"], strict=True))
            yield {"file": entry["file"], "label": box["label"], "score": box["score"], **sides}
        if not entry.get("boxes"):
            yield {key: entry[key] for key in ("file", "error") if key in entry}
