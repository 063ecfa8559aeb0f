"""Annotations in a .csv file: a box a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from inceptorch.data.annotations.base import (
    EDGES,
    Annotation,
    AnnotationError,
    Layout,
    Problems,
    RawBox,
    report_unlisted,
    to_edges,
    to_size,
    to_split,
)
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.split import split_of
from inceptorch.utils.files import MARKS

MAX_BYTES = 1_000_000_000  # of a file
# What a column may be called, without case and other characters than letters and digits.
COLUMNS = {
    "image": "filename file image imagepath imagefile imagename imageid path filepath img imgpath",
    "label": "class label classname labelname category categoryname name",
    "xmin": "xmin x1 left",
    "ymin": "ymin y1 top",
    "xmax": "xmax x2 right",
    "ymax": "ymax y2 bottom",
    "width": "width imagewidth imgwidth",
    "height": "height imageheight imgheight",
    "split": "split subset set",
}
REQUIRED = ("image", "label", *EDGES)

Row = dict[str, str]


def has_boxes(head: bytes) -> bool:
    """Whether the first line of a file names the columns of boxes."""
    encoding = "utf-16" if head.startswith(MARKS["utf-16"]) else "utf-8-sig"
    line = next(iter(head.decode(encoding, "ignore").splitlines()), "")
    return set(REQUIRED) <= _columns(next(csv.reader([line], delimiter=_delimiter(line)), [])).keys()


def find_splits(layout: Layout, path: str) -> list[str]:
    """The splits that a column names; none if there is no such column."""
    try:
        return sorted(
            {split_of(row["split"]) for _, row in _rows(layout.text(path, MAX_BYTES)) if "split" in row} - {""}
        )
    except (AnnotationError, csv.Error):
        return []


def read_table(layout: Layout, split: str, path: str, by_column: bool = False) -> BoxSplit:
    """The split of a file, or of its rows with that split. A row without a box lists an image without objects."""
    problems, label = Problems(), layout.tree.label(path)
    images: dict[str, tuple[list[RawBox], tuple[int, int] | None]] = {}
    try:
        for line, row in _rows(layout.text(path, MAX_BYTES)):
            if by_column and split_of(row.get("split", "")) != split:
                if not split_of(row.get("split", "")):
                    problems.add(label, f"line {line} names no split", "invalid-annotation", "box")
                continue
            _read_row(layout, path, split, line, row, images, problems)
    except AnnotationError as error:
        problems.add(label, str(error), "invalid-annotation", "image")
    except csv.Error as error:
        problems.add(label, f"is not a table of comma-separated values: {error}", "invalid-annotation", "image")
    if not by_column:
        report_unlisted(layout, split, images, label, problems)
    annotations = [Annotation(image, label, boxes, size) for image, (boxes, size) in images.items()]
    return to_split(layout, split, annotations, None, problems)


def _read_row(
    layout: Layout,
    path: str,
    split: str,
    line: int,
    row: Row,
    images: dict[str, tuple[list[RawBox], tuple[int, int] | None]],
    problems: Problems,
) -> None:
    label, where = layout.tree.label(path), f"line {line}"
    missing = [name for name in REQUIRED if name not in row]
    if missing or not row["image"].strip():
        fault = f"{where} has no {missing[0] if missing else 'image'}"
        problems.add(label, fault, "invalid-annotation", "box")
        return
    image = layout.image_of(row["image"].strip(), path, split)
    if image is None:
        problems.add(
            label, f"{where} names {row['image'][:80]!r}, which is not among the files", "missing-image", "box"
        )
        return
    boxes, _ = images.setdefault(image, ([], to_size(row.get("width", ""), row.get("height", ""))))
    if any(row[name].strip() for name in EDGES):
        edges, fault = to_edges(EDGES, [row[name] for name in EDGES])
        boxes.append(RawBox(row["label"], edges, where, fault=fault))


def _rows(text: str) -> Iterator[tuple[int, Row]]:
    """Every row by our names of its columns, and the line it ends on. Raises AnnotationError and csv.Error."""
    lines = text.splitlines(keepends=True)
    first = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter=_delimiter(first), strict=True)
    columns = _columns(next(reader, []))
    lacking = [name for name in REQUIRED if name not in columns]
    if lacking:
        raise AnnotationError(f"has no column for {' and '.join(lacking)}")
    for row in reader:
        if row:
            yield reader.line_num, {ours: row[position] for ours, position in columns.items() if position < len(row)}


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _columns(header: Sequence[str]) -> dict[str, int]:
    """The position of each of our columns."""
    found: dict[str, int] = {}
    for position, name in enumerate(header):
        plain = re.sub(r"[\W_]+", "", name).lower()
        ours = next((ours for ours, names in COLUMNS.items() if plain in names.split()), None)
        if ours is not None:
            found.setdefault(ours, position)
    return found
