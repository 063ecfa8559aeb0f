"""Pascal VOC's annotations: an XML file for each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from xml.etree import ElementTree

from inceptorch.data.annotations.base import (
    EDGES,
    Annotation,
    AnnotationError,
    Layout,
    Problems,
    RawBox,
    stem_of,
    to_edges,
    to_size,
    to_split,
)
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.sources.base import join

MAX_BYTES = 4_000_000  # of a file: about 10,000 objects
SETS = {"train": ("train", "trainval"), "val": ("val",), "test": ("test",)}  # files of ImageSets/Main
TRUE = ("1", "true", "yes")


class _Builder(ElementTree.TreeBuilder):
    """A tree without declarations of entities, with which a short file can expand without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise AnnotationError("declares a document type, which is not read")


def open_voc(layout: Layout, files: Sequence[str]) -> dict[str, Callable[[], BoxSplit]]:
    """The splits of these XML files: those of ImageSets/Main, else those that their folders are called."""
    sets = _find_sets(layout)
    if sets:
        return {split: partial(_read_set, layout, split, path, files) for split, path in sets.items()}
    groups: dict[str, list[str]] = {}
    for path in files:
        groups.setdefault(layout.split(path), []).append(path)
    return {split: partial(_read_folder, layout, split, paths) for split, paths in groups.items()}


def _find_sets(layout: Layout) -> dict[str, str]:
    found = {}
    for split, names in SETS.items():
        paths = (
            join(layout.root, f"{folder}/{name}.txt") for name in names for folder in ("ImageSets/Main", "ImageSets")
        )
        path = next((path for path in paths if path in layout.known), None)
        if path is not None:
            found[split] = path
    return found


def _read_folder(layout: Layout, split: str, files: Sequence[str]) -> BoxSplit:
    """Images without a file are left out, as nothing says that they hold no objects."""
    problems = Problems()
    annotations = list(_read_files(layout, files, problems))
    stems = {stem_of(path) for path in files} | {stem_of(each.image) for each in annotations}
    for path in layout.images:
        if stem_of(path) not in stems and layout.split(path) == split:
            _report_missing(layout, path, problems)
    return to_split(layout, split, annotations, None, problems)


def _read_set(layout: Layout, split: str, path: str, files: Sequence[str]) -> BoxSplit:
    """The split whose images a text lists, one a line: by name without suffix, with or without more behind it."""
    problems = Problems()
    by_stem = {stem_of(each): each for each in files}
    listed = dict[str, None]()
    try:
        lines = layout.lines(path)
    except AnnotationError as error:
        problems.add(layout.tree.label(path), str(error), "invalid-annotation", "image")
        lines = []
    for line in lines:
        name = line.strip()
        if not name:
            continue
        file = next((by_stem[each] for each in (name, name.split()[0], stem_of(name)) if each in by_stem), None)
        image = layout.image_of(name, path)
        if file is not None:
            listed[file] = None
        elif image is not None:
            _report_missing(layout, image, problems)
        else:
            fault = f"lists {name[:80]!r}, of which there is neither an annotation file nor an image"
            problems.add(layout.tree.label(path), fault, "missing-annotation", "image")
    return to_split(layout, split, _read_files(layout, list(listed), problems), None, problems)


def _report_missing(layout: Layout, image: str, problems: Problems) -> None:
    label = layout.tree.label(image)
    problems.add(label, "has no annotation file", "missing-annotation", "image", label)


def _read_files(layout: Layout, files: Sequence[str], problems: Problems) -> Iterator[Annotation]:
    for path in files:
        label = layout.tree.label(path)
        try:
            name, size, boxes = read_xml(layout.read(path, MAX_BYTES))
        except AnnotationError as error:
            problems.add(label, str(error), "invalid-annotation", "image")
            continue
        image = layout.image_of(PurePosixPath(path).stem, path) or layout.image_of(name, path)
        if image is None:
            problems.add(label, f"has no image; it names {name[:80]!r}", "missing-image", "image")
            continue
        yield Annotation(image, label, boxes, size)


def read_xml(data: bytes) -> tuple[str, tuple[int, int] | None, list[RawBox]]:
    """The image's name, its declared width and height, and the boxes of an XML file. Raises AnnotationError."""
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(data)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise AnnotationError(f"is not XML: {error}") from None
    if root.tag != "annotation":
        raise AnnotationError(f"is not an annotation of Pascal VOC: it begins with <{root.tag[:40]}>")
    boxes = [_read_object(each, f"object {position}") for position, each in enumerate(root.findall("object"), 1)]
    size = to_size(root.findtext("size/width") or "", root.findtext("size/height") or "")
    return (root.findtext("filename") or "").strip(), size, boxes


def _read_object(element: ElementTree.Element, where: str) -> RawBox:
    box = element.find("bndbox")
    edges, fault = to_edges(EDGES, [(box is not None and box.findtext(name)) or "" for name in EDGES])
    if box is None:
        fault = "has no <bndbox>"
    difficult = (element.findtext("difficult") or "").strip().lower() in TRUE
    return RawBox(element.findtext("name") or "", edges, where, difficult, fault=fault)
