"""Annotations in a .csv file: a box a line."""

from __future__ import annotations

import csv
import math
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
from inceptorch.data.split import SPLITS, abbreviated, split_of
from inceptorch.utils.files import MARKS

MAX_BYTES = 1_000_000_000  # of a file
MARGIN = 0.1  # by which fractions may lie outside of 0 to 1
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
    """The splits that a column names, train first; none if there is no such column."""
    try:
        found = {split_of(row["split"]) for _, row in _rows(layout.text(path, MAX_BYTES)) if "split" in row}
    except (AnnotationError, csv.Error):
        return []
    return [split for split in SPLITS if split in found]


def read_table(layout: Layout, split: str, path: str, by_column: bool = False, is_first: bool = True) -> BoxSplit:
    """The split of a file, or of its rows with that split. A row without a box lists an image without objects.

    The first split of a file has the problems of rows without one. Coordinates that are small in the whole file are
    fractions of width and height."""
    problems, label = Problems(), layout.tree.label(path)
    images: dict[str, tuple[list[RawBox], tuple[int, int] | None]] = {}
    relative, unknown = _Range(), dict[str, None]()
    try:
        for line, row in _rows(layout.text(path, MAX_BYTES)):
            relative.add(row)
            word = row.get("split", "").strip()
            if word and not split_of(word):
                unknown[word] = None
            if by_column and split_of(word) != split:
                if not split_of(word) and is_first:
                    what = f"the split {word[:40]!r}, which is none of {', '.join(SPLITS)}" if word else "no split"
                    problems.add(label, f"line {line} names {what}", "unknown-split", "box")
                continue
            _read_row(layout, path, split, line, row, images, problems)
    except AnnotationError as error:
        problems.add(label, str(error), "invalid-annotation", "image")
    except csv.Error as error:
        problems.add(label, f"is not a table of comma-separated values: {error}", "invalid-annotation", "image")
    if not by_column:
        report_unlisted(layout, split, images, label, problems)
        if unknown:
            words = abbreviated([repr(word[:40]) for word in unknown])
            problems.add(label, f"has a column of splits that is not used: it names {words}", "unknown-split", "note")
    if relative.holds and images:
        fault = "has coordinates from 0 to 1, which are taken as fractions of width and height"
        problems.add(label, fault, "fractions", "note")
    annotations = [
        Annotation(image, label, boxes, size, relative=relative.holds) for image, (boxes, size) in images.items()
    ]
    return to_split(layout, split, annotations, None, problems)


class _Range:
    """Whether all coordinates of a file are fractions: as pixels, they would lie in the first one of any image. Some
    tools let fractions reach out a little."""

    def __init__(self) -> None:
        self.lowest, self.highest = math.inf, -math.inf

    def add(self, row: Row) -> None:
        edges, fault = to_edges(EDGES, [row.get(name, "") for name in EDGES])
        if not fault and all(map(math.isfinite, edges)):
            self.lowest, self.highest = min(self.lowest, *edges), max(self.highest, *edges)

    @property
    def holds(self) -> bool:
        return self.lowest >= -MARGIN and 0 < self.highest <= 1 + MARGIN


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
