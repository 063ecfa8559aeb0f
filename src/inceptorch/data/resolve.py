"""From DATA to splits."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from inceptorch.data.annotations.base import IMAGE_FOLDERS, TARGET_FOLDERS
from inceptorch.data.annotations.open import open_boxes, open_file
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.groups import train_val_split
from inceptorch.data.imagenet import is_validation, map_synsets_to_names, open_validation
from inceptorch.data.locator import PIPE, TORCHVISION, URL
from inceptorch.data.sources.base import Tree, is_image, join
from inceptorch.data.sources.folder import Folder
from inceptorch.data.sources.manifest import is_list, open_manifest
from inceptorch.data.sources.shards import are_shards, open_remote, open_shards
from inceptorch.data.sources.torchvision import open_dataset
from inceptorch.data.sources.zip import Zip
from inceptorch.data.split import SPLITS, Split, group_by_split, split_of
from inceptorch.data.string_array import StringArray
from inceptorch.errors import DataError, did_you_mean

BOX_FILES = (".csv", ".json", ".yaml", ".yml")
Splits = Mapping[str, Callable[[], Split]]  # how to read train, val and test, as far as DATA has them; or "", all of it


def find_train_and_val(
    data: str | Path, val_fraction: float, seed: int, *, group_by: str = "", download: bool = True
) -> tuple[Split, Split]:
    """The images to train on and those to evaluate on.

    DATA is a folder or zip file with `train/` and `val/` (or `test/`), or with class folders alone: then every class
    gives `val_fraction` to validation, drawn by the seed alone; `group_by` keeps images together (`groups_of`). It may
    also be a list of images (.csv, .tsv or .jsonl), a folder of shards, their URL, or "torchvision:NAME", which
    `download` allows to download.
    Raises DataError unless there are two classes with images, the same in both splits.
    """
    splits = open_splits(data, download)
    name, val_name = _first(splits, ("", "train")), _first(splits, ("val", "test"))
    if name is None:
        raise DataError(
            f"Cannot train on {data}: it has {' and '.join(splits)} but no train. Add the images to train on as train."
        )
    train = splits[name]()
    val = None if val_name is None else splits[val_name]()
    _check_training_classes(train)
    if val is None:
        train, val = train_val_split(train, val_fraction, seed, group_by)
        if isinstance(val, BoxSplit):  # training names the problems of the whole
            val = replace(val, problems=())
    val = val.with_classes(train.classes)
    if not len(val):
        raise DataError(
            f"Cannot train on {data}: no images are left for validation. Give every class two or more, or add a val "
            "split."
        )
    return train, val


def find_split(
    data: str | Path, classes: Sequence[str], split: str | None = None, *, boxes: bool | None = None
) -> Split:
    """The images to evaluate: `split` ("train", "val" or "test") of DATA, by default its test, val or train split, in
    this order, or DATA itself.

    Labels index `classes`. Raises DataError for a class that is not among them, and for images that have boxes, or
    have none, where `boxes` says otherwise.
    """
    splits = open_splits(data)
    if split is not None and split not in SPLITS:
        raise DataError(f"Cannot find a split {split!r}: {did_you_mean(split, SPLITS)}")
    if split is not None and "" in splits:
        raise DataError(f"Cannot choose a split of {data}: it is not divided. Leave out --split.")
    name = _first(splits, (split,) if split else ("", "test", "val", "train"))
    if name is None:
        raise DataError(f"Cannot find {split} in {data}: it has {' and '.join(splits)}. Try one of these.")
    found = splits[name]()
    if boxes is False and isinstance(found, BoxSplit):
        refuse_boxes(data, f"use a classifier on {data}", "Try a detector, or class folders")
    if boxes and not isinstance(found, BoxSplit):
        raise DataError(f"Cannot use a detector on {data}: its images have no boxes. Try data as for training.")
    images = map_synsets_to_names(found, classes).with_classes(classes)
    if not len(images):
        raise DataError(
            f"Cannot evaluate on {data}: it holds no images of any class. Put the images of each class into a folder."
        )
    return images


def open_splits(data: str | Path, download: bool = True, allow_missing: bool = False) -> Splits:
    """The splits that DATA itself is divided into; "" for all of it if it is not divided. With `allow_missing`, a list
    may name images that do not exist."""
    if not isinstance(data, str | Path):
        raise DataError(
            f"Cannot read images from a value of type {type(data).__name__}. Try a folder, a zip or a list."
        )
    text, path = str(data), Path(data)
    if text.startswith(PIPE):
        raise DataError(
            f"Cannot read {data}: shell commands are not run. Try the URL of the shards, such as "
            "https://host/train-{000000..000099}.tar."
        )
    if URL in text:
        return open_remote(text)
    if text.startswith(TORCHVISION):
        return open_dataset(text, download)
    if (boxes := _box_splits(path)) is not None:
        return boxes
    if is_list(path.name) and path.is_file():
        return open_manifest(path, allow_missing)
    if are_shards(path):
        return open_shards(path)
    if is_validation(path):
        return open_validation(path)
    return _open_folders(path)


def refuse_boxes(data: str | Path, what: str, remedy: str) -> None:
    """Raise DataError where DATA has boxes and classes are needed to do `what`."""
    if has_boxes(data):
        raise DataError(f"Cannot {what}: its images have boxes, and no classes of their own. {remedy}.")


def has_boxes(data: str | Path) -> bool:
    """Whether DATA is read as images with boxes."""
    try:
        return _box_splits(Path(data)) is not None
    except DataError:
        return False


def _box_splits(path: Path) -> Splits | None:
    """The splits of images with boxes; None for anything else."""
    if path.suffix.lower() in BOX_FILES and path.is_file():
        return open_file(path)
    if not (path.is_dir() or zipfile.is_zipfile(path)) or are_shards(path) or is_validation(path):
        return None
    return open_boxes(*_unwrapped(_open_tree(path)))


def _open_folders(data: Path) -> Splits:
    """The split folders (or zip files named like them) in a folder or zip file, or its class folders themselves."""
    tree, outer = _unwrapped(_open_tree(data))
    where, names = tree.label(outer), tree.folders(outer)
    _check_layout(where, names)
    # A class may be called "train"; a split has class folders in it.
    folders = [name for name in names if split_of(name) and tree.folders(join(outer, name))]
    archives = {}
    if isinstance(tree, Folder):
        archives = {path.stem: path for path in sorted((tree.root / outer).glob("*.zip")) if split_of(path.stem)}
        for name in folders:  # perhaps unpacked from the archive beside it
            archives.pop(name, None)
    if not folders and not archives:
        if len(set(map(split_of, names))) > 1 and all(map(split_of, names)):
            raise DataError(
                f"Cannot tell the classes of {where}: it has {' and '.join(names)} without class folders. Put each "
                "class into a folder, or give a list as .csv."
            )
        return {"": partial(_read_folders, tree, outer, "")}
    others = [name for name in names if name not in folders]
    unknown = (name for name in others if not split_of(name) and any(map(is_image, tree.files(join(outer, name)))))
    groups = group_by_split([*folders, *archives, *unknown], where)
    groups.pop("", None)
    splits: dict[str, Callable[[], Split]] = {}
    outside = partial(_images_outside, tree, outer, others)  # counts to the first split that is a folder
    for split, (name,) in sorted(groups.items(), key=lambda group: group[0] != "train"):
        if name in archives:
            splits[split] = partial(_read_folders, *_unwrapped(_open_tree(archives[name]), split), name)
            continue
        within = join(outer, name)
        inner = tree.folders(within)
        if len(inner) == 1 and split_of(inner[0]) == split:
            within = join(within, inner[0])
        _check_layout(tree.label(within), tree.folders(within))
        splits[split] = partial(_read_folders, tree, within, name, outside)
        outside = partial(list)
    return splits


def _check_layout(where: str, folders: Sequence[str]) -> None:
    """Raise DataError for the folders of another task."""
    names = {name.lower(): name for name in folders}
    images, targets = (sorted(names.keys() & known) for known in (IMAGE_FOLDERS, TARGET_FOLDERS))
    if images and targets:
        raise DataError(
            f"Cannot tell the classes of {where}: it has {names[images[0]]} and {names[targets[0]]} side by side, as "
            "data for detection has. Give a folder with a folder for each class."
        )


def _open_tree(path: Path) -> Tree:
    """The folder or zip file at `path`. Raises DataError if there is neither."""
    if path.is_dir():
        return Folder(path)
    if path.suffix.lower() == ".zip" and path.is_file():
        return Zip(path)
    if path.exists():
        raise DataError(
            f"Cannot read {path}: it is neither a folder nor a .zip file, nor a list of images as .csv, .tsv or "
            ".jsonl. Try a folder of class folders."
        )
    raise DataError(f"Cannot read {path}: it does not exist. Try the path of a folder, a zip or a list of images.")


def _unwrapped(tree: Tree, split: str = "") -> tuple[Tree, str]:
    """The tree and the folder in it to start from: that inside a single folder of folders, as zip files often have.
    One that is called as a split is that split, unless the tree itself is, or it holds splits."""
    outer = tree.folders()
    if len(outer) != 1:
        return tree, ""
    inner = tree.folders(outer[0])
    wrapped = inner and (split_of(outer[0]) in ("", split) or any(map(split_of, inner)))
    return tree, outer[0] if wrapped else ""


def _read_folders(tree: Tree, within: str, name: str, outside: Callable[[], list[str]] = list) -> Split:
    classes, counts, files, others = tree.classes(within)
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), counts)
    unused = StringArray([*others, *outside()])
    return Split(name, tree.label(within), tree, tuple(classes), files, labels, within=within, unused=unused)


def _images_outside(tree: Tree, outer: str, folders: Sequence[str]) -> list[str]:
    """The images beside the folders of splits: loose ones, and those in these other folders."""
    within = (tree.files(join(outer, name)) for name in folders)
    return list(filter(is_image, chain(tree.loose(outer), *within)))


def _first(splits: Iterable[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in splits), None)


def _check_training_classes(split: Split) -> None:
    if isinstance(split, BoxSplit):
        if not any(split.counts().values()):
            first = next((f" The first fault: {each.file} {each.fault}." for each in split.problems), "")
            raise DataError(f"Cannot use {split.where}: it has no boxes.{first}")
        return
    if not split.classes:
        given = next((f", or try the list {split.source.label(name)}" for name in split.unused if is_list(name)), "")
        raise DataError(
            f"Cannot use {split.where}: it has no class folders. Put the images of each class into a folder{given}."
        )
    for name, count in split.counts().items():
        if not count:
            raise DataError(
                f"Cannot use {split.where}: the {split.class_word} {name!r} holds no images. Add some, or delete it."
            )
    if len(split.classes) == 1:
        raise DataError(
            f"Cannot use {split.where}: it has the one class {split.classes[0]!r}. Add another, as a classifier "
            "needs two."
        )
