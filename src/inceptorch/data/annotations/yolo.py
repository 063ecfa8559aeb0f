"""YOLO's annotations: a text for each image, and the names of the classes in data.yaml.

A line is the number of a class, then the box's center, width and height as fractions of the upright image's. One with
more numbers is the outline of an object, as x, y, x, y, ...; its box is the smallest around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from inceptorch.data.annotations.base import (
    IMAGE_FOLDERS,
    TARGET_FOLDERS,
    Annotation,
    AnnotationError,
    Layout,
    Problems,
    RawBox,
    to_edges,
    to_split,
)
from inceptorch.data.box_split import BoxSplit, Problem
from inceptorch.data.sources.base import is_image, join
from inceptorch.data.split import composed
from inceptorch.utils.files import NotYamlError, parse_yaml

MAX_BYTES = 10_000_000  # of a text
MAX_YAML_BYTES = 1_000_000
CONFIGS = ("data.yaml", "data.yml", "dataset.yaml")
NAMES = ("classes.txt", "obj.names")  # of a file with a class a line
KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}  # of data.yaml
BOX = ("class", "x", "y", "width", "height")
MAX_CLASSES = 9999
MAX_FRACTION = 2.0  # above which numbers must be pixels


def open_yolo(layout: Layout, config: str | None = None) -> dict[str, Callable[[], BoxSplit]]:
    """The splits that data.yaml names, else those that the folders are called."""
    faults: list[Problem] = []
    values, names = _read_config(layout, config, faults)
    found = {split: _images_of(layout, values, keys, faults) for split, keys in KEYS.items()}
    groups = {split: images for split, images in found.items() if images is not None}
    if not groups:
        for path in layout.images:
            groups.setdefault(layout.split(path), []).append(path)
    if len(groups) > 1:
        groups.pop("", None)
    return {
        split: partial(_read_split, layout, split, images, names, faults, position == 0)
        for position, (split, images) in enumerate(groups.items())
    }


def _read_split(
    layout: Layout,
    split: str,
    images: Sequence[str],
    names: Sequence[str] | None,
    faults: Sequence[Problem],
    is_first: bool,
) -> BoxSplit:
    """An image without a text, or with an empty one, is without objects. The first split has the problems of all."""
    problems = Problems()
    if is_first:
        for fault in faults:
            problems.add(*fault)
        _report_texts_without_image(layout, problems)
    annotations, highest = list[Annotation](), -1
    lowered = {path.lower(): path for path in layout.with_suffix(".txt")}
    for image in images:
        path = next((lowered[each] for each in _texts_of(image) if each in lowered), None)
        if path is None:
            annotations.append(Annotation(image, layout.tree.label(image), (), relative=True))
            continue
        label = layout.tree.label(path)
        try:
            text = layout.text(path, MAX_BYTES)
        except AnnotationError as error:
            problems.add(label, str(error), "invalid-annotation", "image", layout.tree.label(image))
            continue
        rows = (line.split() for line in text.splitlines())
        boxes = [_read_row(row, f"line {line}", names) for line, row in enumerate(rows, 1) if row]
        if names is None:
            highest = max([highest, *(int(box.label) for box in boxes if box.label.isdecimal())])
        annotations.append(Annotation(image, label, boxes, relative=True))
    classes = [str(number) for number in range(min(highest, MAX_CLASSES) + 1)] if names is None else names
    return to_split(layout, split, annotations, classes, problems)


def _report_texts_without_image(layout: Layout, problems: Problems) -> None:
    expected = {each for image in layout.images for each in _texts_of(image)}
    for path in layout.with_suffix(".txt"):
        is_target = TARGET_FOLDERS & {folder.lower() for folder in layout.folders(path)}
        if is_target and path.lower() not in expected and path.rpartition("/")[2].lower() not in NAMES:
            problems.add(layout.tree.label(path), "has no image", "missing-image", "image")


def _texts_of(image: str) -> Iterator[str]:
    """Where the text of an image may be, in lower case: in labels/ instead of images/, or beside it."""
    *folders, name = image.lower().split("/")
    name = f"{name.rpartition('.')[0]}.txt"
    for position in reversed(range(len(folders))):
        if folders[position] in IMAGE_FOLDERS:
            for other in sorted(TARGET_FOLDERS, reverse=True):
                yield "/".join([*folders[:position], other, *folders[position + 1 :], name])
    yield "/".join([*folders, name])


def _read_row(words: Sequence[str], where: str, names: Sequence[str] | None) -> RawBox:
    """A box whose label is the name of its class, or its number where there are no names."""
    values, fault = to_edges([BOX[min(position, 4)] for position in range(len(words))], words)
    if len(words) != len(BOX) and (len(words) < 7 or len(words) % 2 == 0):
        fault = f"has {len(words)} numbers instead of {len(BOX)}"
    elif not fault and any(abs(value) > MAX_FRACTION for value in values[1:]):
        fault = "has numbers that are not between 0 and 1, as if they were pixels"
    if fault:
        return RawBox("", (math.nan,) * 4, where, fault=fault)
    if len(words) == len(BOX):
        x, y, width, height = values[1:]
        edges = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    else:
        xs, ys = values[1::2], values[2::2]
        edges = min(xs), min(ys), max(xs), max(ys)
        fault = "" if all(map(math.isfinite, values)) else "has a coordinate that is not finite"
    number = int(values[0]) if math.isfinite(values[0]) and values[0] == int(values[0]) else -1
    last = MAX_CLASSES if names is None else len(names) - 1
    if not 0 <= number <= last:
        fault = f"is of class {words[0][:20]}, of classes 0 to {last}"
    return RawBox(str(number) if names is None or fault else names[number], edges, where, fault=fault)


def _read_config(layout: Layout, config: str | None, faults: list[Problem]) -> tuple[dict[str, Any], list[str] | None]:
    """The values of data.yaml and the names of the classes; what is wrong with the file is added to `faults`."""
    path = config or next((each for name in CONFIGS if (each := join(layout.root, name)) in layout.known), None)
    listed = next((each for each in layout.files if each.rpartition("/")[2].lower() in NAMES), None)
    file = path or listed
    if file is None:
        return {}, None
    try:
        text = layout.text(file, MAX_YAML_BYTES)
        if path is None:
            return {}, [composed(line.strip()) for line in text.splitlines() if line.strip()]
        values = parse_yaml(text)
        if not isinstance(values, dict):
            raise AnnotationError("does not hold values by name")
        return values, _names_in(values.get("names"))
    except (AnnotationError, NotYamlError) as error:
        fault = f"{error}; classes are called by their numbers"
        faults.append(Problem(layout.tree.label(file), fault, "invalid-annotation"))
        return {}, None


def _names_in(value: Any) -> list[str]:
    """The names of data.yaml: a list, or by number. A number without a name has an empty one."""
    if isinstance(value, list):
        return [composed(str(each).strip()) for each in value]
    if isinstance(value, dict) and all(key.isdecimal() and len(key) < 10 and int(key) <= MAX_CLASSES for key in value):
        by_number = {int(key): composed(str(name).strip()) for key, name in value.items()}
        return [by_number.get(number, "") for number in range(max(by_number, default=-1) + 1)]
    raise AnnotationError("has no list of names")


def _images_of(layout: Layout, values: dict[str, Any], keys: Sequence[str], faults: list[Problem]) -> list[str] | None:
    """The images in the folders, or listed in the texts, that data.yaml names for a split; None if it names none that
    is there. Of a path, only its end must be: such files often come from another machine. A text that cannot be read is
    added to `faults`."""
    given = next((values[key] for key in keys if values.get(key)), None)
    folders = {within for path in layout.images for within in accumulate(layout.folders(path), lambda a, b: f"{a}/{b}")}
    found: list[str] | None = None
    for each in given if isinstance(given, list) else [given]:
        if not isinstance(each, str):
            continue
        parts = [part for part in each.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        folder = next((end for end in ends if end in folders), None)
        listed = next((path for end in ends if (path := join(layout.root, end)) in layout.known), None)
        if folder is not None:
            within = join(layout.root, folder) + "/"
            found = (found or []) + [path for path in layout.images if path.startswith(within)]
        elif listed is not None and listed.endswith(".txt"):
            try:
                lines = layout.lines(listed)
            except AnnotationError as error:
                fault = f"{error}; its images are left out"
                faults.append(Problem(layout.tree.label(listed), fault, "invalid-annotation", "image"))
                lines = []
            named = (layout.image_of(line.strip(), listed) for line in lines if is_image(line.strip()))
            found = (found or []) + [path for path in named if path is not None]
    return None if found is None else list(dict.fromkeys(found))
