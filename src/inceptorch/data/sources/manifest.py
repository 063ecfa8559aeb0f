"""Images listed in a file: a .csv, .tsv or .jsonl with the columns path, label and, if it is divided, split."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from inceptorch.data.sources.base import is_image
from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import SPLITS, Split, split_of
from inceptorch.data.string_array import UNKNOWN, StringArray, is_text
from inceptorch.errors import DataError, did_you_mean
from inceptorch.images.decode import SUFFIXES as IMAGE_SUFFIXES
from inceptorch.utils.files import open_text, reading

SUFFIXES = (".csv", ".tsv", ".jsonl")
# What a column may be called, without case, blanks and other characters; a name of an earlier group takes precedence.
COLUMNS = {
    "path": (
        "path",
        "file filename filepath filepaths image imagename imagepath imagefile images img imgname imgpath",
        "id imageid imgid",
    ),
    "label": (
        "label",
        "labels class classname category categoryname target species breed",
        "classid labelid categoryid",
    ),
    "split": ("split", "splits set subset dataset partition"),
}
SEVERAL = re.compile(r"[,;|]")  # what may part the classes of an image that has several


def is_list(name: str) -> bool:
    """Whether a file is a list of images by its suffix."""
    return name.lower().endswith(SUFFIXES)


def open_manifest(path: Path, allow_missing: bool = False, labeled: bool = True) -> dict[str, Callable[[], Split]]:
    """The splits that a list names, or "" if it names none. Paths in it are relative to its folder. Unless `labeled`,
    images may have no class.

    Raises DataError naming the line for a row that cannot be used, an image that is missing or is listed twice. With
    `allow_missing`, the images of a split may be missing, though not all of them.
    """
    rows: dict[str, list[tuple[str, str]]] = {}
    lines: dict[str, int] = {}  # by the normal path, as there are several ways to write one
    for line, row in _rows(path, labeled):
        where = f"{path}, line {line}"
        image, label = _text(row, "path", where), _text(row, "label", where) if labeled else ""
        image = _existing(path.parent, image)
        split = _text(row, "split", where) if "split" in row else ""
        if split and not split_of(split):
            raise DataError(f"{where}: there is no split {split!r}; {did_you_mean(split, SPLITS)}")
        split = split_of(split)
        first = lines.setdefault(_normal(path, image), line)
        if first != line:
            raise DataError(
                f"Cannot use {where}: it lists {image} again, which line {first} has. Delete one of the two."
            )
        rows.setdefault(split, []).append((label, image))
    if not rows:
        raise DataError(f"Cannot use {path}: it lists no images. Try a line for each image.")
    if "" in rows and len(rows) > 1:
        raise DataError(f"Cannot use {path}: some rows have a split and some have none. Give every row one, or none.")
    _check_one_class_each(path, {label for images in rows.values() for label, _ in images})

    source = Folder(path.parent)
    splits: dict[str, Callable[[], Split]] = {}
    for split, images in rows.items():
        images.sort()
        files = source.files_of(StringArray(image for _, image in images))
        absent = np.flatnonzero(files.changed == UNKNOWN)
        for index in absent[:1] if len(absent) == len(files) or not allow_missing else ():
            missing = files.names[index]
            line = lines[_normal(path, missing)]
            raise DataError(
                f"{path}, line {line}: {source.label(missing)} does not exist. Try paths relative to the folder "
                f"of {path.name}."
            )
        splits[split] = partial(Split.of_names, split, str(path), source, [label for label, _ in images], files)
    return splits


def _normal(path: Path, image: str) -> str:
    return os.path.normpath(os.path.join(os.path.abspath(path.parent), image))


def read_column(path: Path, column: str) -> dict[str, str] | None:
    """A column of a list by the paths of the images; None if it has no such column. Raises DataError for an image
    without a value."""
    found, without = {}, []
    for line, row in _rows(path, group=column):
        if "group" in row:
            found[_existing(path.parent, row["path"])] = _text(row, "group", f"{path}, line {line}")
        else:
            without.append(line)
    if found and without:  # lines of .jsonl, each of which has columns of its own
        raise DataError(f"Cannot group the images of {path}: line {without[0]} has no {column!r}. Add it.")
    return found or None


def _rows(path: Path, labeled: bool = True, group: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row by our names of its columns, and the line it ends on; the column `group` too, if there is one."""
    columns: dict[str, str] = {}
    header: list[str] = []
    try:
        with reading(path, DataError), open_text(path, newline="") as file:
            if path.suffix.lower() != ".jsonl":
                first = file.readline()
                delimiter = max(",;\t", key=first.count)  # of equally frequent ones the first
                table = csv.DictReader(chain([first], file), delimiter=delimiter, strict=True)
                table.fieldnames = header = [name.strip() for name in table.fieldnames or ()]
                one = next(table, None)
                columns = _columns(header, one or {}, f"{path}, line 1", labeled)
                columns |= {"group": group} if group in header else {}
                for row in chain([one] if one else [], table):
                    if None in row:  # the library's key for surplus fields
                        raise DataError(
                            f"{path}, line {table.line_num} has more fields than the {len(header)} columns of line 1; "
                            "quote the label if there is a comma in it."
                        )
                    yield table.line_num, {ours: row[name] for ours, name in columns.items()}
                return
            for line, text in enumerate(file, 1):
                if text.strip():
                    row = _json_row(text, f"{path}, line {line}")
                    if list(row) != header:
                        header = list(row)
                        columns = _columns(header, row, f"{path}, line {line}", labeled)
                        columns |= {"group": group} if group in header else {}
                    yield line, {ours: row[name] for ours, name in columns.items()}
    except csv.Error as error:
        line = table.reader.line_num
        raise DataError(
            f"Cannot read {path}: it is not a table of comma-separated values: {error} (line {line}). Try "
            "another program to make it."
        ) from None


def _columns(header: Sequence[str], row: Mapping[str, Any], where: str, labeled: bool) -> dict[str, str]:
    """The name in the list of each of our columns. Raises DataError if a path is missing, or a label where images are
    `labeled`, or could be several columns; `row` is the first."""
    found: dict[str, str] = {}
    for ours, groups in COLUMNS.items() if labeled else [each for each in COLUMNS.items() if each[0] != "label"]:
        for group in groups:
            matches = [name for name in header if re.sub(r"[\W_]+", "", name).lower() in group.split()]
            if matches:
                break
        if len(set(matches)) < len(matches):
            raise DataError(f"Cannot use {where}: the column {matches[0]!r} occurs twice. Delete one of the two.")
        if len(matches) > 1:
            either = " and ".join(map(repr, matches))
            raise DataError(
                f"Cannot use {where}: the columns {either} may each be the {ours}. Call one of them {ours!r}."
            )
        if matches:
            found[ours] = matches[0]
    others = [name for name in header if name not in found.values()]
    if (
        labeled
        and "path" in found
        and "label" not in found
        and len(others) > 1
        and all(_is_mark(row.get(name)) for name in others)
    ):
        raise DataError(
            f"{where}: {len(others)} columns mark classes with 0 and 1, by which an image may have several. Give each "
            "image one class, in a column 'label'."
        )
    for ours in ("path", "label") if labeled else ("path",):
        if ours not in found:
            listed = ", ".join(map(repr, header)) or "an empty line"
            raise DataError(
                f"Cannot use {where}: there is no {ours!r}, only {listed}. Name path, label and, if divided, split."
            )
    return found


def _is_mark(value: Any) -> bool:
    return str(value).strip() in ("0", "1", "0.0", "1.0")


def _existing(folder: Path, image: str) -> str:
    """The path of an image as it is in the folder of the list: with slashes, and with its suffix, where the list has
    backslashes or no suffix."""
    if "\\" in image and not os.path.exists(folder / image):
        image = image.replace("\\", "/")
    if not is_image(image) and not os.path.exists(folder / image):
        suffixes = sorted(IMAGE_SUFFIXES, key=lambda suffix: (suffix != ".jpg", suffix))
        return next((image + suffix for suffix in suffixes if os.path.exists(folder / (image + suffix))), image)
    return image


def _check_one_class_each(path: Path, labels: set[str]) -> None:
    """Raise DataError for a label that consists of others."""
    for label in sorted(labels):
        parts = [part.strip() for part in SEVERAL.split(label)]
        if len(parts) > 1 and labels.issuperset(parts):
            raise DataError(
                f"Cannot use {path}: it gives images several classes, such as {label!r}. Give each image one class."
            )


def _json_row(text: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise DataError(f'Cannot read {where}: it is not a JSON object such as {{"path": "a.jpg", "label": "tulip"}}.')
    return row


def _text(row: dict[str, Any], name: str, where: str) -> str:
    """A value as text, without blanks around it but for a path; labels and groups in JSON may be whole numbers."""
    value = row[name]
    if name in ("label", "group") and type(value) is int:
        value = str(value)
    if value is None or value == "" or (isinstance(value, str) and value.isspace()):
        raise DataError(f"Cannot use {where}: the {name} is empty. Fill it in.")
    if not isinstance(value, str):
        raise DataError(f"Cannot use {where}: the {name} is {value!r}, not text. Give it as text.")
    if not is_text(value):
        raise DataError(f"Cannot use {where}: the {name} is {value!r}, which holds characters that are not text.")
    return value if name == "path" else value.strip()
