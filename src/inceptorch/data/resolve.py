"""From DATA to splits: what there is to train on, and what to evaluate with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from inceptorch.data.imagenet import in_words_of, is_validation, open_validation
from inceptorch.data.locator import PIPE, TORCHVISION, URL
from inceptorch.data.sources import manifest
from inceptorch.data.sources.folders import Folder, Tree, open_tree
from inceptorch.data.sources.shards import are_shards, open_remote, open_shards
from inceptorch.data.sources.torchvision_datasets import open_dataset
from inceptorch.data.split import SPLITS, TRAIN, VAL, Split, stratified
from inceptorch.errors import DataError, did_you_mean

Parts = Mapping[str, Callable[[], Split]]  # how to get each part of DATA, by its name in lower case; "": all of it


def find_train_and_val(
    data: str | Path, val_fraction: float, seed: int, *, download: bool = True
) -> tuple[Split, Split]:
    """The images to train on and those to evaluate with.

    DATA has `train/` with `val/` (or `test/`) beside it, as folders or as zip files, or it is a folder or zip of class
    folders, of which every class then gives `val_fraction` by a split that depends on the seed alone. So it is with
    a list of images (.csv or .jsonl), a folder of shards, their URL, and "torchvision:NAME", which is downloaded
    if it is not there and `download` says so.
    Raises DataError where there are not two classes with images, and where the splits' classes differ.
    """
    parts = parts_of(data, download)
    name, val_name = _first(parts, ("", *TRAIN)), _first(parts, VAL)
    if name is None:
        raise DataError(f"{data} has {' and '.join(parts)} but no train beside it; put what is to be trained on there.")
    train = parts[name]()
    val = None if val_name is None else parts[val_name]()
    _check_training_classes(train)
    if val is None:
        train, val = stratified(train, val_fraction, seed)
    val = val.relabelled(train.classes)
    if not len(val):
        raise DataError(
            f"{data} has no images to evaluate with; give every class two images or more, or add a val beside train."
        )
    return train, val


def find_split(data: str | Path, classes: Sequence[str], split: str | None = None) -> Split:
    """The images to evaluate: `split` ("train", "val" or "test") of DATA, else its test, val or train part, in this
    order, else DATA itself.

    Labels index `classes`. Raises DataError for a class that is not among them.
    """
    parts = parts_of(data)
    if split is not None and split not in SPLITS:
        raise DataError(f"There is no split {split!r}: {did_you_mean(split, SPLITS)}")
    if split is not None and "" in parts:
        raise DataError(f"{data} is not divided into train and val; leave out --split.")
    name = _first(parts, SPLITS[split] if split else ("", *VAL[::-1], *TRAIN))
    if name is None:
        raise DataError(f"{data} has no {split}; it has {' and '.join(parts)}.")
    images = in_words_of(parts[name](), classes).relabelled(classes)
    if not len(images):
        raise DataError(f"{data} holds no images of any class.")
    return images


def parts_of(data: str | Path, download: bool = True) -> Parts:
    """How to get each part of DATA that its own division gives; "" stands for all of it where it is not divided."""
    if str(data).startswith(PIPE):
        raise DataError(
            f"Cannot read {data}: shell commands are not run. Try the URL of the shards, such as "
            "https://host/train-{000000..000099}.tar."
        )
    if URL in str(data):
        return open_remote(str(data))
    if str(data).startswith(TORCHVISION):
        return open_dataset(str(data), download)
    path = Path(data)
    if path.suffix.lower() in manifest.SUFFIXES and path.is_file():
        return manifest.open_manifest(path)
    if are_shards(path):
        return open_shards(path)
    if is_validation(path):
        return open_validation(path)
    return _open_folders(path)


def _open_folders(data: Path) -> Parts:
    """The split folders (or zip files named like them) in a folder or zip file, or its class folders themselves."""
    tree, outer = _unwrapped(open_tree(data))
    found: dict[str, Callable[[], Split]] = {}
    for name in tree.folders(outer):
        within = f"{outer}/{name}" if outer else name
        # A class may be called "train"; a split has class folders in it.
        if name.lower() in TRAIN + VAL and tree.folders(within):
            found[name.lower()] = partial(_read_folders, tree, within, name)
    if isinstance(tree, Folder):
        for path in sorted((tree.root / outer).glob("*.zip")):
            part = path.stem.lower()
            if part in TRAIN + VAL and part not in found:
                found[part] = partial(_read_folders, *_unwrapped(open_tree(path), part), path.stem)
    return found or {"": partial(_read_folders, tree, outer, "")}


def _unwrapped(tree: Tree, part: str = "") -> tuple[Tree, str]:
    """The tree and the folder in it where things begin: a single folder of folders around everything, as zip files
    often have, is stepped into, unless it is a split (other than the one that the tree is)."""
    outer = tree.folders()
    wrapped = len(outer) == 1 and outer[0].lower() not in {*TRAIN, *VAL} - {part} and tree.folders(outer[0])
    return tree, outer[0] if wrapped else ""


def _read_folders(tree: Tree, within: str, name: str) -> Split:
    classes, counts, files = tree.classes(within)
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), counts)
    return Split(name, tree.label(within), tree, tuple(classes), files, labels, within=within)


def _first(parts: Iterable[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in parts), None)


def _check_training_classes(split: Split) -> None:
    word = split.source.class_word
    if not split.classes:
        raise DataError(f"{split.where} has no class folders; put the images of each class into a folder of its own.")
    for name, count in split.counts().items():
        if not count:
            raise DataError(f"{split.where}: the {word} {name!r} holds no images; add some, or delete it.")
    if len(split.classes) == 1:
        raise DataError(f"{split.where} has the one class {split.classes[0]!r}; a classifier needs at least two.")
