"""Which format of annotations DATA has, told from what lies there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from inceptorch.data.annotations import coco, table
from inceptorch.data.annotations.base import IMAGE_FOLDERS, TARGET_FOLDERS, Layout, stem_of
from inceptorch.data.annotations.voc import open_voc
from inceptorch.data.annotations.yolo import CONFIGS, NAMES, open_yolo
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.sources.base import Tree, is_image, join
from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import split_of
from inceptorch.errors import DataError, ImageError

Splits = Mapping[str, Callable[[], BoxSplit]]
MAX_DEPTH = 3  # of folders
HEAD = 65536  # bytes of a file that tell what it is


def open_boxes(tree: Tree, root: str) -> Splits | None:
    """The splits of a folder of images with boxes, in it or in the single folder in it; None if it is none. Only
    folders that are called as those of splits, images or annotations are looked into, so that a class folder never
    counts."""
    for _ in range(MAX_DEPTH):
        found = _open_folder(tree, root)
        folders = tree.folders(root)
        if found is not None or len(folders) != 1:
            return found
        root = join(root, folders[0])
    return None


def open_file(path: Path) -> Splits | None:
    """The splits of a data.yaml, of a JSON file of COCO, or of a table of boxes; None for another file. The images lie
    in its folder, or in the one above that of the annotations."""
    folder = path.parent.parent if path.parent.name.lower() in TARGET_FOLDERS else path.parent
    tree, name = Folder(folder), path.relative_to(folder).as_posix()
    if name.lower().endswith((".yaml", ".yml")):
        return open_yolo(Layout(tree, ""), name)
    if name.lower().endswith(".json"):
        split = split_of(path.stem) or split_of(path.parent.name)
        return _open_json(Layout(tree, ""), {split: [name]})
    return _open_tables(Layout(tree, ""), [name]) if _is_table(tree, name) else None


def _open_folder(tree: Tree, root: str) -> Splits | None:
    """The splits of the first format whose signs are there."""
    xml, texts, documents, tables = False, False, list[str](), list[str]()
    for folder, files in _folders_of_data(tree, root):
        images = {stem_of(name) for name in files if is_image(name)}
        named = {name.rpartition("/")[2].lower() for name in files}
        is_target = bool(TARGET_FOLDERS & {part.lower() for part in folder.removeprefix(root).split("/")})
        beside = {name.rpartition(".")[2].lower() for name in files if is_target or stem_of(name) in images}
        xml |= "xml" in beside
        texts |= "txt" in beside and (is_target or any(name in named for name in NAMES))
        texts |= folder == root and any(_is_config(tree, join(root, name)) for name in CONFIGS if name in named)
        documents += [name for name in files if name.lower().endswith(".json") and _is_coco(tree, name)]
        tables += [name for name in files if name.lower().endswith(".csv") and _is_table(tree, name)]
    if not (xml or texts or documents or tables):
        return None
    layout = Layout(tree, root)
    if xml:
        return open_voc(layout, layout.with_suffix(".xml"))
    if texts:
        return open_yolo(layout)
    if documents:
        groups: dict[str, list[str]] = {}
        for name in documents:
            groups.setdefault(split_of(stem_of(name)) or layout.split(name), []).append(name)
        return _open_json(layout, groups)
    return _open_tables(layout, tables)


def _folders_of_data(tree: Tree, folder: str, depth: int = 0) -> Iterator[tuple[str, list[str]]]:
    """This folder and those in it that may hold images or annotations, each with the files directly in it."""
    entries = tree.entries(folder)
    yield folder, [join(folder, name) for name in entries if not name.endswith("/")]
    for name in entries:
        known = name[:-1].lower() in IMAGE_FOLDERS | TARGET_FOLDERS or split_of(name[:-1])
        if name.endswith("/") and known and depth < MAX_DEPTH:
            yield from _folders_of_data(tree, join(folder, name[:-1]), depth + 1)


def _is_config(tree: Tree, name: str) -> bool:
    """Whether a data.yaml is there that names classes and images; a damaged one may be."""
    try:
        head = tree.head(name, HEAD)
    except ImageError:
        return False
    return b"names" in head and (b"train" in head or b"val" in head)


def _is_coco(tree: Tree, name: str) -> bool:
    """By its name, or its content: others list the classes of images alike, without boxes."""
    stem = stem_of(name).lower()
    if "coco" in stem or stem.startswith("instances"):
        return True
    try:
        data = tree.head(name, coco.MAX_BYTES)
    except ImageError:
        return False
    return all(word in data for word in (b'"images"', b'"annotations"', b'"bbox"'))


def _is_table(tree: Tree, name: str) -> bool:
    try:
        return table.has_boxes(tree.head(name, HEAD))
    except ImageError:
        return False


def _open_json(layout: Layout, groups: Mapping[str, list[str]]) -> Splits:
    chosen = {}
    for split, names in groups.items():
        instances = [name for name in names if stem_of(name).lower().startswith("instances")] or names
        if len(instances) > 1:
            raise DataError(
                f"Cannot tell the boxes of {layout.where}: {stem_of(instances[0])}.json and {stem_of(instances[1])}"
                ".json may both have them. Try one of them as DATA."
            )
        chosen[split] = instances[0]
    if len(chosen) > 1:
        chosen.pop("", None)
    return {split: partial(coco.read_coco, layout, split, name) for split, name in chosen.items()}


def _open_tables(layout: Layout, names: list[str]) -> Splits:
    splits: dict[str, Callable[[], BoxSplit]] = {}
    for name in names:
        for position, split in enumerate(table.find_splits(layout, name)):
            read = partial(table.read_table, layout, split, name, by_column=True, is_first=position == 0)
            splits.setdefault(split, read)
    if splits:
        return splits
    for name in names:
        split = split_of(stem_of(name)) or layout.split(name)
        if split in splits:
            raise DataError(
                f"Cannot tell the boxes of {layout.where}: {name} is the second table for "
                f"{split or 'all images'}. Try one of the tables as DATA."
            )
        splits[split] = partial(table.read_table, layout, split, name)
    if len(splits) > 1:
        splits.pop("", None)
    return splits
