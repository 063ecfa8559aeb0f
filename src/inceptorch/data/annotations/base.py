"""What the formats of annotations share: the files of a data set, and how annotations become a split.

Numbers are taken as they are written: as edges in pixels, of an image whose left upper corner is (0, 0). In Pascal VOC
itself the first pixel is 1 and the last one belongs to the box, so that its left and upper edges lie one pixel too far
to the right and below here, and the box's center half a pixel. Most labeling tools count from 0, and no file says which
it is.

A box belongs to the image as the labeling tool showed it. Where EXIF turns the image, the declared width and height
tell whether the tool obeyed it. Where they cannot, as for squares and images upside down, it is taken to have.
"""

from __future__ import annotations

import math
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from inceptorch.data.box_split import BoxSplit, Problem
from inceptorch.data.sources.base import Tree, is_image
from inceptorch.data.split import MAX_CLASS_NAME, composed, split_of
from inceptorch.data.string_array import StringArray, is_text
from inceptorch.errors import ImageError
from inceptorch.images.boxes import Boxes
from inceptorch.images.decode import Header, read_oriented_header
from inceptorch.images.limits import START_OF_SCAN, jpeg_segments
from inceptorch.utils.files import MARKS

MAX_OUTSIDE = 1.0  # pixels by which rounding may move an edge out of the image
MIN_SIDE = 0.01  # pixels; float32 tells such edges apart in images of up to 100,000 pixels
MAX_PROBLEMS = 1000  # of one file that are listed
MAX_LIST_BYTES = 100_000_000  # of a text that lists images
EDGES = ("xmin", "ymin", "xmax", "ymax")  # as XML files and tables call them
# Folders side by side as other tasks have them, where they are no classes.
IMAGE_FOLDERS = frozenset(("images", "image", "jpegimages", "imgs"))
TARGET_FOLDERS = frozenset(("labels", "annotations", "annotation", "annots", "masks"))
HEAD = 1 << 16  # bytes of an image that mostly hold its header


class AnnotationError(Exception):
    """An annotation cannot be used; the message continues a sentence that begins with the file's name."""


class RawBox(NamedTuple):
    """A box as a file has it: edges in pixels, or as fractions of width and height where `Annotation.relative`."""

    label: str
    edges: tuple[float, ...]  # left, top, right, bottom
    where: str = ""  # in the file, such as "object 2"
    difficult: bool = False
    crowd: bool = False
    fault: str = ""  # for which it cannot be used


class Annotation(NamedTuple):
    """What a file says about one image."""

    image: str  # path in the tree
    file: str  # that says so, in messages
    boxes: Sequence[RawBox]
    size: tuple[int, int] | None = None  # declared width and height
    relative: bool = False


@dataclass
class Problems:
    """The problems found while reading. Of one file, only the first thousand are listed one by one."""

    found: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, file: str, fault: str, kind: str, lost: str = "", image: str = "") -> None:
        self.counts[file] = self.counts.get(file, 0) + 1
        if self.counts[file] <= MAX_PROBLEMS:
            self.found.append(Problem(file, fault, kind, lost, image))
        elif self.counts[file] == MAX_PROBLEMS + 1:
            self.found.append(Problem(file, f"has more than {MAX_PROBLEMS} faults, which are not listed", kind))


class Layout:
    """The files of a data set in a folder of a tree."""

    def __init__(self, tree: Tree, root: str):
        self.tree, self.root = tree, root
        self.where = tree.label(root)
        self.files = list(tree.files(root))

    @cached_property
    def images(self) -> list[str]:
        return list(filter(is_image, self.files))

    @cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """The images by their name without suffix."""
        found: dict[str, list[str]] = {}
        for path in self.images:
            found.setdefault(stem_of(path), []).append(path)
        return found

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.files)

    def with_suffix(self, *suffixes: str) -> list[str]:
        return [path for path in self.files if path.lower().endswith(suffixes)]

    def folders(self, path: str) -> list[str]:
        """The folders between the root and a file."""
        return path.removeprefix(f"{self.root}/").split("/")[:-1]

    def split(self, path: str) -> str:
        """The split that a file's folders name; "" for none."""
        return next((split for folder in self.folders(path) if (split := split_of(folder))), "")

    def image_of(self, name: str, near: str, split: str = "") -> str | None:
        """The image that an annotation file `near` calls `name`, with or without folders and suffix: of several with
        that name the one in the folders that are most alike. An image of another split is none."""
        name = name.replace("\\", "/")
        own = self.split(near)
        folders = {*name.split("/")[:-1], *self.folders(near)}
        named = os.path.basename(name).lower()

        def rank(path: str) -> tuple[bool, bool, int, bool]:
            same = os.path.basename(path).lower() == named
            within = self.folders(path)
            is_image_folder = any(folder.lower() in IMAGE_FOLDERS for folder in within)
            return same, bool(split) and self.split(path) == split, len(folders & set(within)), is_image_folder

        found = self.by_stem.get(stem_of(name), [])
        found = [path for path in found if not own or self.split(path) in ("", own)]
        return max(found, key=rank, default=None) if len(found) > 1 else next(iter(found), None)

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of an annotation file. Raises AnnotationError if there are more than `limit`."""
        try:
            data = self.tree.head(path, limit + 1)
        except ImageError as error:
            raise AnnotationError(error.reason) from None
        if len(data) > limit:
            raise AnnotationError(f"has more than {limit / 1e6:g} MB")
        return data

    def text(self, path: str, limit: int) -> str:
        """The text of an annotation file, as `read_text` reads it. Raises AnnotationError."""
        return decoded(self.read(path, limit))

    def lines(self, path: str) -> list[str]:
        """The lines of a text that lists images. Raises AnnotationError."""
        return self.text(path, MAX_LIST_BYTES).splitlines()

    def header(self, path: str) -> Header:
        """The header of an image, with its orientation. Raises ImageError."""
        head = self.tree.head(path, HEAD)
        if len(head) == HEAD and not (head.startswith(b"\xff\xd8") and _frame_of(head)):
            head = self.tree.read(path)
        return read_oriented_header(head)


def decoded(data: bytes) -> str:
    """Text in UTF-8, or with the mark of UTF-16 or UTF-32. Raises AnnotationError."""
    encoding = next((name for name, marks in MARKS.items() if data.startswith(marks)), "utf-8-sig")
    try:
        return data.decode(encoding)
    except UnicodeError:
        raise AnnotationError("is not text in UTF-8") from None


def stem_of(path: str) -> str:
    """The name of a file without its folders and suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def to_edges(names: Sequence[str], texts: Sequence[str]) -> tuple[tuple[float, ...], str]:
    """Decimal numbers, which may be infinite or nan, and the fault of the first text that is none."""
    edges = []
    for name, text in zip(names, texts, strict=True):
        try:
            edges.append(float(text.replace("_", "?")))  # Python allows _ within numbers
        except ValueError:
            return (math.nan,) * len(names), f"has {text.strip()[:20]!r} as {name}, which is no number"
    return tuple(edges), ""


def to_size(width: str, height: str) -> tuple[int, int] | None:
    """The width and height that a file declares; None where one is no whole number."""
    sides = width.strip(), height.strip()
    if not all(side.isdecimal() and len(side) < 10 for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def report_unlisted(layout: Layout, split: str, listed: Container[str], label: str, problems: Problems) -> None:
    """Add the images of a split that the file called `label` does not list."""
    for path in layout.images:
        if path not in listed and layout.split(path) == split:
            image = layout.tree.label(path)
            problems.add(image, f"is not listed in {label}", "missing-annotation", "image", image)


def to_split(
    layout: Layout, name: str, annotations: Iterable[Annotation], classes: Sequence[str] | None, problems: Problems
) -> BoxSplit:
    """The split of these images in the order of their names.

    `classes` are the names that boxes may have, by default those that they have, sorted. Boxes that cannot be used, and
    images that cannot be read, are left out, and added to the problems.
    """
    known = [name for name in dict.fromkeys(classes or ()) if not _fault_of_name(name, None)[1]]
    found: dict[str, tuple[Annotation, Header, list[RawBox]]] = {}
    for annotation in annotations:
        image = layout.tree.label(annotation.image)
        if annotation.image in found:
            other = found[annotation.image][0].file
            fault = f"annotates {image} again, which {other} does"
            problems.add(annotation.file, fault, "invalid-annotation", "image", image)
            continue
        try:
            header = layout.header(annotation.image)
        except ImageError as error:
            problems.add(image, error.reason, "unreadable", "image", image)
            continue
        boxes = list(_usable_boxes(annotation, header, None if classes is None else set(known), image, problems))
        found[annotation.image] = annotation, header, boxes
    names = sorted({box.label for _, _, boxes in found.values() for box in boxes}) if classes is None else known
    index = {name: position for position, name in enumerate(names)}
    ordered = sorted(found)
    return BoxSplit(
        name,
        layout.where,
        layout.tree,
        tuple(names),
        layout.tree.files_of(StringArray(ordered)),
        np.zeros(len(ordered), np.int32),
        boxes=tuple(_to_boxes(found[path][2], index) for path in ordered),
        sizes=np.array([_upright_size(found[path][1]) for path in ordered], np.int32).reshape(-1, 2),
        problems=tuple(problems.found),
    )


def _to_boxes(boxes: Sequence[RawBox], index: Mapping[str, int]) -> Boxes:
    return Boxes.of(
        [box.edges for box in boxes],
        [index[box.label] for box in boxes],
        difficult=[box.difficult for box in boxes],
        crowd=[box.crowd for box in boxes],
    )


def _upright_size(header: Header) -> tuple[int, int]:
    size = header.width, header.height
    return size[::-1] if header.orientation > 4 else size


def _usable_boxes(
    annotation: Annotation, header: Header, known: set[str] | None, image: str, problems: Problems
) -> Iterable[RawBox]:
    """The boxes in pixels of the upright image, within it."""
    size = _upright_size(header)
    orientation = _orientation_of_boxes(annotation, header, image, problems)
    scale = size if annotation.relative else (1, 1)
    for box in annotation.boxes:
        label = composed(box.label.strip())
        what = f"{box.where} ({label[:40]!r})" if label else box.where
        kind, fault = ("invalid-box", box.fault) if box.fault else _fault_of_name(label, known)
        edges = tuple(edge * scale[axis % 2] for axis, edge in enumerate(box.edges))
        if not fault and not all(map(math.isfinite, edges)):
            kind, fault = "invalid-box", f"has a coordinate that is {next(e for e in edges if not math.isfinite(e))}"
        if not fault:
            edges = edges if orientation == 1 else _turned(edges, orientation, size)
            clipped = _clipped(edges, size)
            fault = _fault_of_edges(edges, clipped, size)
        if fault:
            problems.add(annotation.file, f"{what} {fault}", kind, "box", image)
            continue
        left, top, right, bottom = edges
        beyond = max(-left, -top, right - size[0], bottom - size[1])
        if beyond > MAX_OUTSIDE:
            shown = f"reaches {beyond:.3g} pixels out of the image of {size[0]}x{size[1]}"
            problems.add(annotation.file, f"{what} {shown}; it is clipped", "box-outside", "", image)
        yield box._replace(label=label, edges=clipped)


def _fault_of_name(label: str, known: set[str] | None) -> tuple[str, str]:
    """The kind of a box's fault, and the fault if it is in the name of its class."""
    if not label:
        return "unknown-class", "has no class"
    if not is_text(label) or len(label) > MAX_CLASS_NAME:
        return "unknown-class", "has a class whose name is no text, or too long"
    if known is not None and label not in known:
        return "unknown-class", "is of a class that is not in the list of classes"
    return "invalid-box", ""


def _clipped(edges: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = edges
    return max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1]))


def _fault_of_edges(edges: Sequence[float], clipped: Sequence[float], size: tuple[int, int]) -> str:
    left, top, right, bottom = edges
    shown = f"from ({left:g}, {top:g}) to ({right:g}, {bottom:g})"
    if min(right - left, bottom - top) < MIN_SIDE:
        return f"has no area: {shown}"
    if min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < MIN_SIDE:
        return f"lies outside the image of {size[0]}x{size[1]} pixels: {shown}"
    return ""


def _orientation_of_boxes(annotation: Annotation, header: Header, image: str, problems: Problems) -> int:
    """The EXIF orientation to turn the boxes by; 1 where they are upright already."""
    stored, upright = (header.width, header.height), _upright_size(header)
    if annotation.relative:
        return 1
    if annotation.size not in (None, stored, upright):
        declared = "x".join(map(str, annotation.size or ()))
        fault = f"declares an image of {declared} pixels, which has {upright[0]}x{upright[1]}"
        problems.add(annotation.file, fault, "size-mismatch", "", image)
    if header.orientation > 1 and annotation.boxes and (annotation.size != upright or stored == upright):
        if annotation.size == stored != upright:
            return header.orientation
        fault = f"has EXIF orientation {header.orientation}; whether its boxes are turned cannot be told"
        problems.add(image, fault, "box-orientation", "", image)
    return 1


def _turned(edges: Sequence[float], orientation: int, size: tuple[int, int]) -> tuple[float, ...]:
    """A box of an image as stored, on the upright image of this size, by an EXIF orientation from 5 to 8."""
    top, left, bottom, right = edges  # rows become columns
    width, height = size
    if orientation in (6, 7):
        left, right = width - right, width - left
    if orientation in (7, 8):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _frame_of(head: bytes) -> bool:
    """Whether the beginning of a JPEG holds all of its header."""
    return any(marker == START_OF_SCAN for marker, _ in jpeg_segments(head))
