"""From DATA to splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from inceptorch.data.imagenet import is_validation, map_synsets_to_names, open_validation
from inceptorch.data.locator import PIPE, TORCHVISION, URL
from inceptorch.data.sources.base import Tree, join
from inceptorch.data.sources.folder import Folder
from inceptorch.data.sources.manifest import SUFFIXES, open_manifest
from inceptorch.data.sources.shards import are_shards, open_remote, open_shards
from inceptorch.data.sources.torchvision import open_dataset
from inceptorch.data.sources.zip import Zip
from inceptorch.data.split import SPLITS, TRAIN_NAMES, VAL_NAMES, Split, stratified
from inceptorch.errors import DataError, did_you_mean

Splits = Mapping[str, Callable[[], Split]]  # how to read each split, by its name in lower case; "": undivided DATA


def find_train_and_val(
    data: str | Path, val_fraction: float, seed: int, *, download: bool = True
) -> tuple[Split, Split]:
    """The images to train on and those to evaluate on.

    DATA is a folder or zip file with `train/` and `val/` (or `test/`), or with class folders alone: then every class
    gives `val_fraction` to validation, drawn by the seed alone. It may also be a list of images (.csv or .jsonl), a
    folder of shards, their URL, or "torchvision:NAME", which `download` allows to download.
    Raises DataError unless there are two classes with images, the same in both splits.
    """
    splits = open_splits(data, download)
    name, val_name = _first(splits, ("", *TRAIN_NAMES)), _first(splits, VAL_NAMES)
    if name is None:
        raise DataError(f"{data} has {' and '.join(splits)} but no train. Add the images to train on as train.")
    train = splits[name]()
    val = None if val_name is None else splits[val_name]()
    _check_training_classes(train)
    if val is None:
        train, val = stratified(train, val_fraction, seed)
    val = val.with_classes(train.classes)
    if not len(val):
        raise DataError(
            f"{data} has no images to evaluate on; give every class two images or more, or add a val split."
        )
    return train, val


def find_split(data: str | Path, classes: Sequence[str], split: str | None = None) -> Split:
    """The images to evaluate: `split` ("train", "val" or "test") of DATA, by default its test, val or train split, in
    this order, or DATA itself.

    Labels index `classes`. Raises DataError for a class that is not among them.
    """
    splits = open_splits(data)
    if split is not None and split not in SPLITS:
        raise DataError(f"There is no split {split!r}: {did_you_mean(split, SPLITS)}")
    if split is not None and "" in splits:
        raise DataError(f"{data} is not divided into train and val; leave out --split.")
    name = _first(splits, SPLITS[split] if split else ("", *VAL_NAMES[::-1], *TRAIN_NAMES))
    if name is None:
        raise DataError(f"{data} has no {split}; it has {' and '.join(splits)}.")
    images = map_synsets_to_names(splits[name](), classes).with_classes(classes)
    if not len(images):
        raise DataError(f"{data} holds no images of any class.")
    return images


def open_splits(data: str | Path, download: bool = True) -> Splits:
    """The splits that DATA itself is divided into; "" for all of it if it is not divided."""
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
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return open_manifest(path)
    if are_shards(path):
        return open_shards(path)
    if is_validation(path):
        return open_validation(path)
    return _open_folders(path)


def _open_folders(data: Path) -> Splits:
    """The split folders (or zip files named like them) in a folder or zip file, or its class folders themselves."""
    tree, outer = _unwrapped(_open_tree(data))
    splits: dict[str, Callable[[], Split]] = {}
    for name in tree.folders(outer):
        within = join(outer, name)
        # A class may be called "train"; a split has class folders in it.
        if name.lower() in TRAIN_NAMES + VAL_NAMES and tree.folders(within):
            splits[name.lower()] = partial(_read_folders, tree, within, name)
    if isinstance(tree, Folder):
        for path in sorted((tree.root / outer).glob("*.zip")):
            split = path.stem.lower()
            if split in TRAIN_NAMES + VAL_NAMES and split not in splits:
                splits[split] = partial(_read_folders, *_unwrapped(_open_tree(path), split), path.stem)
    return splits or {"": partial(_read_folders, tree, outer, "")}


def _open_tree(path: Path) -> Tree:
    """The folder or zip file at `path`. Raises DataError if there is neither."""
    if path.is_dir():
        return Folder(path)
    if path.suffix.lower() == ".zip" and path.is_file():
        return Zip(path)
    if path.exists():
        raise DataError(
            f"{path} is neither a folder nor a .zip file, nor a list of images in a .csv or .jsonl file; DATA is a "
            "folder (or zip) of class folders."
        )
    raise DataError(f"{path} does not exist.")


def _unwrapped(tree: Tree, split: str = "") -> tuple[Tree, str]:
    """The tree and the folder in it to start from: that inside a single folder of folders, as zip files often have,
    unless it is a split other than the one that the tree itself is."""
    outer = tree.folders()
    splits = {*TRAIN_NAMES, *VAL_NAMES} - {split}
    wrapped = len(outer) == 1 and outer[0].lower() not in splits and tree.folders(outer[0])
    return tree, outer[0] if wrapped else ""


def _read_folders(tree: Tree, within: str, name: str) -> Split:
    classes, counts, files = tree.classes(within)
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), counts)
    return Split(name, tree.label(within), tree, tuple(classes), files, labels, within=within)


def _first(splits: Iterable[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in splits), None)


def _check_training_classes(split: Split) -> None:
    if not split.classes:
        raise DataError(f"{split.where} has no class folders; put the images of each class into a folder of its own.")
    for name, count in split.counts().items():
        if not count:
            raise DataError(f"{split.where}: the {split.class_word} {name!r} holds no images; add some, or delete it.")
    if len(split.classes) == 1:
        raise DataError(f"{split.where} has the one class {split.classes[0]!r}; a classifier needs at least two.")
