"""COCO's annotations: a JSON file for each split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from inceptorch.data.annotations.base import (
    Annotation,
    AnnotationError,
    Layout,
    Problems,
    RawBox,
    decoded,
    report_unlisted,
    to_split,
)
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.split import composed

MAX_BYTES = 1_000_000_000  # of a file; COCO's own has 448 MB
NOT_FINITE = re.compile(rb"(?<=[\[,:\s])-?(?:NaN|Infinity)(?=[\s,\]}])")  # as Python writes them, which is not JSON
Id = int | str


class _Document(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw] = []


class _Image(msgspec.Struct):
    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None


class _Category(msgspec.Struct):
    id: Id
    name: str
    supercategory: str | None = None


class _Object(msgspec.Struct):
    image_id: Id
    category_id: Id
    bbox: list[float]
    id: Any = None
    iscrowd: float | bool = 0


Item = TypeVar("Item", _Image, _Category, _Object)


def read_coco(layout: Layout, split: str, path: str) -> BoxSplit:
    """The split of a JSON file. Images that it lists without annotations are without objects; those that it does not
    list are left out. Its classes are in the order of its categories, whatever their ids."""
    problems, label = Problems(), layout.tree.label(path)
    try:
        document = _decode_document(layout.read(path, MAX_BYTES))
    except AnnotationError as error:
        problems.add(label, str(error), "invalid-annotation", "image")
        return to_split(layout, split, [], [], problems)
    objects = list(_decode_items(document.annotations, _Object, "annotation", label, problems))
    names = _name_categories(document, objects, label, problems)
    boxes: dict[Id, list[RawBox]] = {}
    for position, each in objects:
        boxes.setdefault(each.image_id, []).append(_to_box(each, position, names))
    annotations, ids = [], set()
    for position, image in _decode_items(document.images, _Image, "image", label, problems):
        found = layout.image_of(image.file_name, path, split)
        if image.id in ids:
            fault = f"image {position} ({image.file_name[:80]!r}) has the id {image.id!r} of another"
            problems.add(label, fault, "invalid-annotation", "image")
        elif found is None:
            fault = f"image {position} ({image.file_name[:80]!r}) is not among the files"
            problems.add(label, fault, "missing-image", "image")
        else:
            size = (int(image.width), int(image.height)) if image.width and image.height else None
            annotations.append(Annotation(found, label, boxes.get(image.id, []), size))
        ids.add(image.id)
    for each_id in boxes.keys() - ids:
        for box in boxes[each_id]:
            fault = f"{box.where} is of an image with the id {each_id!r}, which is not listed"
            problems.add(label, fault, "missing-image", "box")
    report_unlisted(layout, split, {each.image for each in annotations}, label, problems)
    return to_split(layout, split, annotations, list(dict.fromkeys(names.values())), problems)


def _decode_document(data: bytes) -> _Document:
    if not data[:1].isspace() and not data.startswith(b"{"):
        data = decoded(data).encode()  # a byte order mark
    try:
        try:
            return msgspec.json.decode(data, type=_Document)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return msgspec.json.decode(NOT_FINITE.sub(b"1e999", data), type=_Document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise AnnotationError(f"cannot be read as COCO's JSON: {error}") from None


def _decode_items(
    items: Sequence[msgspec.Raw], kind: type[Item], what: str, label: str, problems: Problems
) -> Iterator[tuple[int, Item]]:
    """The items that can be used, with their positions from 1."""
    decoder = msgspec.json.Decoder(kind)
    for position, item in enumerate(items, 1):
        try:
            yield position, decoder.decode(item)
        except (msgspec.DecodeError, RecursionError) as error:
            lost = "box" if kind is _Object else "image" if kind is _Image else ""
            problems.add(label, f"{what} {position} cannot be used: {error}", "invalid-annotation", lost)


def _name_categories(
    document: _Document, objects: Sequence[tuple[int, _Object]], label: str, problems: Problems
) -> dict[Id, str]:
    """The categories' names by id, without those that only others belong to, which some exports list first."""
    categories = [each for _, each in _decode_items(document.categories, _Category, "category", label, problems)]
    used = {each.category_id for _, each in objects}
    groups = {each.supercategory for each in categories}
    return {each.id: composed(each.name.strip()) for each in categories if each.id in used or each.name not in groups}


def _to_box(each: _Object, position: int, names: dict[Id, str]) -> RawBox:
    where = f"annotation {position if each.id is None else str(each.id)[:40]}"
    if len(each.bbox) != 4:
        return RawBox("", (0.0,) * 4, where, fault=f"has a bbox of {len(each.bbox)} numbers instead of 4")
    left, top, width, height = each.bbox
    name = names.get(each.category_id)
    fault = "" if name is not None else f"is of category {str(each.category_id)[:40]}, which is not listed"
    return RawBox(name or "", (left, top, left + width, top + height), where, crowd=bool(each.iscrowd), fault=fault)
