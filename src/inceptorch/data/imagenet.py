"""ImageNet's conventions: synsets as class names, labels of the validation images, the blacklist.

Classes are numbered by sorted synset (n01440764 is 0), as Caffe, torchvision and timm do. The development kit's own
numbers (ILSVRC2012_ID, in its validation_ground_truth.txt) differ; its meta.mat translates them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import Split
from inceptorch.data.string_array import StringArray
from inceptorch.errors import DataError
from inceptorch.utils.files import os_error_reason, read_text, reading

SYNSET = re.compile(r"n\d{8}")
IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")
FIRST = "tench"  # the class of n01440764, by which a network with ImageNet's classes is known
TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
BY_SYNSET = ("imagenet_2012_validation_synset_labels.txt", "LOC_val_solution.csv")
BY_INDEX = "val.txt"


@cache
def synsets() -> tuple[str, ...]:
    """The 1000 synsets of ILSVRC-2012, in the order of every network's outputs."""
    return tuple((files("inceptorch.data") / "synsets.txt").read_text(encoding="ascii").split())


def map_synsets_to_names(split: Split, classes: Sequence[str]) -> Split:
    """A split of synsets with the class names of a network for ImageNet; any other split unchanged."""
    known = synsets()
    if len(classes) != len(known) or not classes[0].startswith(FIRST) or set(split.classes) & set(classes):
        return split
    if not all(SYNSET.fullmatch(name) for name in split.classes):
        return split
    for name in split.classes:
        if name not in known:
            raise DataError(f"{split.where}: {name} is not one of the 1000 synsets of ILSVRC-2012.")
    index = {synset: number for number, synset in enumerate(known)}
    return replace(split, classes=tuple(classes[index[name]] for name in split.classes))


def is_validation(folder: Path) -> bool:
    """Whether a folder holds ILSVRC's validation images as they are published, without class folders."""
    return (folder / "ILSVRC2012_val_00000001.JPEG").exists()


def open_validation(folder: Path) -> Mapping[str, Callable[[], Split]]:
    """The validation images as the one split of DATA."""
    return {"val": partial(_read_validation, folder)}


def _read_validation(folder: Path) -> Split:
    source = Folder(folder)
    images = [name for name in source.files() if IMAGE.fullmatch(name)]
    labels = _read_labels(folder)
    missing = next((name for name in images if name not in labels), None)
    if missing:
        raise DataError(f"{folder / missing} has no label in the files next to it.")
    files = source.files_of(StringArray(images))
    return Split.of_names("val", str(folder), source, [labels[name] for name in images], files)


def _read_labels(folder: Path) -> dict[str, str]:
    """The synset of every validation image, from the first list of labels in the folder or the one above it."""
    for near in (folder, folder.parent, folder / "data", folder.parent / "ILSVRC2012_devkit_t12" / "data"):
        path = next((near / name for name in (BY_INDEX, *BY_SYNSET, TRUTH) if (near / name).exists()), None)
        if path is None:
            continue
        lines = _lines(path)
        if path.name == BY_INDEX:
            rows = [line.split() for line in lines]
            return {row[0]: _synset(row[1], path) for row in rows if len(row) == 2}
        if path.name == BY_SYNSET[1]:
            rows = [line.replace(",", " ").split() for line in lines]
            return {f"{row[0]}.JPEG": row[1] for row in rows if len(row) > 1 and row[0].startswith("ILSVRC2012")}
        if path.name == TRUTH:
            by_id = _synsets_by_id(near / META)
            unknown = next((line for line in lines if line not in by_id), None)
            if unknown is not None:
                raise DataError(f"{path}: {unknown!r} is not the number of a synset in {near / META}.")
            lines = [by_id[line] for line in lines]
        return {f"ILSVRC2012_val_{number:08}.JPEG": synset for number, synset in enumerate(lines, 1)}
    raise DataError(
        f"{folder} holds ILSVRC's validation images without their labels; put {BY_INDEX}, {BY_SYNSET[0]}, or the "
        f"development kit's {TRUTH} and {META} into it."
    )


def _synset(index: str, path: Path) -> str:
    known = synsets()
    if not index.isdecimal() or int(index) >= len(known):
        raise DataError(f"{path}: {index!r} is not a class number from 0 to 999.")
    return known[int(index)]


def _synsets_by_id(path: Path) -> dict[str, str]:
    """The synset of each of the development kit's own numbers."""
    from scipy.io import loadmat

    try:
        rows = loadmat(path, squeeze_me=True)["synsets"]
        return {str(int(row["ILSVRC2012_ID"])): str(row["WNID"]) for row in rows}
    except OSError as error:
        raise DataError(f"Cannot read {path}: {os_error_reason(error)}.") from None
    except Exception as error:  # a damaged file may raise anything
        raise DataError(f"{path} is not the development kit's list of synsets: {error}.") from None


def read_image_list(split: Split, path: Path) -> set[str]:
    """The names of the images of a split that a file lists, one a line.

    An image is listed by its path in DATA, by its file name if no other image has it, or, as in ILSVRC's blacklist of
    1762, by the number of the validation image. Raises DataError for a line that is none of the images, or several.
    """
    by_name = dict[str, list[str]]()
    for name in split.paths:
        by_name.setdefault(Path(name).name, []).append(name)
    listed = set()
    for line in _lines(path):
        wanted = f"ILSVRC2012_val_{int(line):08}.JPEG" if line.isdecimal() else line
        same_name = by_name.get(Path(wanted).name, [])
        ending = [name for name in same_name if f"/{wanted}".endswith(f"/{name}")]
        matches = [wanted] if wanted in same_name else ending or by_name.get(wanted, [])
        if not matches:
            raise DataError(f"{path}: {line} is not an image of {split.where}.")
        if len(matches) > 1:
            raise DataError(f"{path}: {line} is {len(matches)} images of {split.where}; write its folder too.")
        listed.add(matches[0])
    return listed


def _lines(path: Path) -> list[str]:
    with reading(path, DataError):
        return [line.strip() for line in read_text(path).splitlines() if line.strip()]
