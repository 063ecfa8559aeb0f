"""Images listed in a file: a .csv or .jsonl with the columns path, label and, if it is divided, split."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import SPLITS, Split
from inceptorch.data.string_array import UNKNOWN, StringArray, is_text
from inceptorch.errors import DataError, did_you_mean
from inceptorch.utils.files import reading

SUFFIXES = (".csv", ".jsonl")


def open_manifest(path: Path) -> dict[str, Callable[[], Split]]:
    """The splits that a list names, or "" if it names none. Paths in it are relative to its folder.

    Raises DataError naming the line for a row that cannot be used, an image that is missing or is listed twice.
    """
    rows: dict[str, list[tuple[str, str]]] = {}
    lines: dict[str, int] = {}  # by the normal path, as there are several ways to write one
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        image, label = (_text(row, name, where) for name in ("path", "label"))
        split = _text(row, "split", where) if "split" in row else ""
        if split and split not in SPLITS:
            raise DataError(f"{where}: there is no split {split!r}; {did_you_mean(split, SPLITS)}")
        first = lines.setdefault(_normal(path, image), line)
        if first != line:
            raise DataError(f"{where} lists {image} again, which line {first} has; delete one of the two.")
        rows.setdefault(split, []).append((label, image))
    if not rows:
        raise DataError(f"{path} lists no images.")
    if "" in rows and len(rows) > 1:
        raise DataError(f"{path}: some rows have a split and some have none; give every row one, or none.")

    source = Folder(path.parent)
    splits: dict[str, Callable[[], Split]] = {}
    for split, images in rows.items():
        images.sort()
        files = source.files_of(StringArray(image for _, image in images))
        for index in np.flatnonzero(files.changed == UNKNOWN)[:1]:
            missing = files.names[index]
            line = lines[_normal(path, missing)]
            raise DataError(f"{path}, line {line}: {source.label(missing)} does not exist.")
        splits[split] = partial(Split.of_names, split, str(path), source, [label for label, _ in images], files)
    return splits


def _normal(path: Path, image: str) -> str:
    return os.path.normpath(os.path.join(os.path.abspath(path.parent), image))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row and the line it ends on."""
    try:
        with reading(path, DataError), open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                table = csv.DictReader(file, strict=True)
                table.fieldnames = columns = _columns(table.fieldnames or (), f"{path}, line 1")
                for row in table:
                    if None in row:  # the library's key for surplus fields
                        raise DataError(
                            f"{path}, line {table.line_num} has more fields than the {len(columns)} columns of line 1; "
                            "quote the label if there is a comma in it."
                        )
                    yield table.line_num, row
                return
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield line, _json_row(text, f"{path}, line {line}")
    except csv.Error as error:
        line = table.reader.line_num
        raise DataError(f"{path} is not a table of comma-separated values: {error} (line {line}).") from None


def _columns(header: Iterable[str], where: str) -> list[str]:
    """The columns that the first line names. Raises DataError if one occurs twice."""
    columns = [name.strip() for name in header]
    for name in ("path", "label", "split"):
        if columns.count(name) > 1:
            raise DataError(f"{where}: the column {name!r} occurs twice; delete one of the two.")
    _check_names(columns, where)
    return columns


def _json_row(text: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise DataError(f'{where} is not a JSON object such as {{"path": "a.jpg", "label": "tulip"}}.')
    _check_names(row, where)
    return row


def _check_names(names: Collection[str], where: str) -> None:
    for name in ("path", "label"):
        if name not in names:
            found = ", ".join(map(repr, names)) or "an empty line"
            raise DataError(f"{where}: there is no {name!r}, only {found}. Name path, label and, if divided, split.")


def _text(row: dict[str, Any], name: str, where: str) -> str:
    """A value as text, a label or split without blanks around it; a label in JSON may be a whole number."""
    value = row[name]
    if name == "label" and type(value) is int:
        value = str(value)
    if value is None or value == "" or (isinstance(value, str) and value.isspace()):
        raise DataError(f"{where}: the {name} is empty.")
    if not isinstance(value, str):
        raise DataError(f"{where}: the {name} is {value!r}; it must be text.")
    if not is_text(value):
        raise DataError(f"{where}: the {name} is {value!r}; it holds characters that are not text.")
    return value if name == "path" else value.strip()
