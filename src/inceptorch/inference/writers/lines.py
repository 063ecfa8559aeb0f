"""Predictions as text, a line for each image: JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from abc import abstractmethod
from pathlib import Path
from typing import Any

from inceptorch.errors import RunError
from inceptorch.inference.inputs import Entry
from inceptorch.inference.writers.base import PredictionWriter


class Lines(PredictionWriter):
    """Text; bytes after the number in the sidecar are of an unfinished chunk, and cut off."""

    def _begin(self, new: bool) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self.state.bytes:
            raise RunError(f"Cannot resume {self.path}: it has lost lines. Delete it and {self.sidecar} to begin anew.")
        if size > self.state.bytes:
            self._guarded(lambda: os.truncate(self.path, self.state.bytes))

    def _append(self, entries: list[Entry]) -> None:
        with open(self.path, "ab") as file:
            # Halves of characters, in names that are no UTF-8, become escapes that JSON knows too.
            file.write(self._text(entries).encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            self.state.bytes = file.tell()

    def _complete(self) -> None:
        self.path.touch()

    @abstractmethod
    def _text(self, entries: list[Entry]) -> str:
        """The lines of a chunk."""


class JsonLines(Lines):
    """The entries of `predict --json`, one a line."""

    def _text(self, entries: list[Entry]) -> str:
        return "".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n" for entry in entries)


# A spreadsheet would run cells that begin so; the page's csv.js has the same rule.
FORMULA = re.compile(r"^[=+\-@\t\r\n]")


class Csv(Lines):
    """Columns file, label1, probability1, ..., unknown, error; empty where they do not apply.

    Text that a spreadsheet would take for a formula has ' in front."""

    def __init__(self, path: Path, provenance: dict[str, Any], images_per_batch: int, top: int):
        classes = [f"{key}{rank}" for rank in range(1, top + 1) for key in ("label", "probability")]
        self._columns = ["file", *classes, "unknown", "error"]
        super().__init__(path, provenance, images_per_batch)

    def _text(self, entries: list[Entry]) -> str:
        text = io.StringIO(newline="")
        rows = csv.DictWriter(text, self._columns, lineterminator="\n")
        if self.state.bytes == 0:
            rows.writeheader()
        for entry in entries:
            row: Entry = {key: entry[key] for key in ("file", "unknown", "error") if key in entry}
            for rank, one in enumerate(entry.get("predictions", ()), 1):
                row |= {f"label{rank}": one["label"], f"probability{rank}": one["probability"]}
            rows.writerow(
                {key: FORMULA.sub(r"'\g<0>", value) if isinstance(value, str) else value for key, value in row.items()}
            )
        return text.getvalue()
