"""ImageNet's conventions: synset numbers as class names, the validation images and their answers, the blacklist.

Classes are numbered by sorted synset (n01440764 is 0), as Caffe, torchvision and timm do. The development kit's own numbers
(ILSVRC2012_ID, in its validation_ground_truth.txt) are others, and are translated by its meta.mat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

from inceptorch.data.sources.folders import Folder
from inceptorch.data.split import Split, split_of
from inceptorch.data.string_array import Names
from inceptorch.errors import DataError
from inceptorch.utils.files import os_error_reason, reading

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


def in_words_of(split: Split, classes: Sequence[str]) -> Split:
    """The split with classes named by synset called as a network with ImageNet's classes calls them; any other as it is."""
    known = synsets()
    if len(classes) != len(known) or not classes[0].startswith(FIRST) or set(split.classes) & set(classes):
        return split
    if not all(SYNSET.fullmatch(name) for name in split.classes):
        return split
    for name in split.classes:
        if name not in known:
            raise DataError(f"{split.where}: {name} is none of the 1000 synsets of ILSVRC-2012.")
    index = {synset: number for number, synset in enumerate(known)}
    return replace(split, classes=tuple(classes[index[name]] for name in split.classes))


def is_validation(folder: Path) -> bool:
    """Whether a folder holds ILSVRC's validation images as they come, side by side."""
    return (folder / "ILSVRC2012_val_00000001.JPEG").exists()


def open_validation(folder: Path) -> Mapping[str, Callable[[], Split]]:
    """The validation images as the one part of DATA."""
    return {"val": partial(_read_validation, folder)}


def _read_validation(folder: Path) -> Split:
    source = Folder(folder)
    images = [name for name in source.images("") if IMAGE.fullmatch(name)]
    answers = _answers(folder)
    missing = next((name for name in images if name not in answers), None)
    if missing:
        raise DataError(f"{folder / missing} has no answer in the files beside it.")
    names = Names(images)
    return split_of("val", str(folder), source, [answers[name] for name in images], source.files_of(names))


def _answers(folder: Path) -> dict[str, str]:
    """The synset of every validation image, from whichever list of answers is in the folder or the one above it."""
    for place in (folder, folder.parent, folder / "data", folder.parent / "ILSVRC2012_devkit_t12" / "data"):
        if (place / BY_INDEX).exists():
            rows = [line.split() for line in _lines(place / BY_INDEX)]
            return {row[0]: _synset(row[1], place / BY_INDEX) for row in rows if len(row) == 2}
        if (place / BY_SYNSET[0]).exists():
            return dict(_numbered(_lines(place / BY_SYNSET[0])))
        if (place / BY_SYNSET[1]).exists():
            rows = [line.replace(",", " ").split() for line in _lines(place / BY_SYNSET[1])]
            return {f"{row[0]}.JPEG": row[1] for row in rows if len(row) > 1 and row[0].startswith("ILSVRC2012")}
        if (place / TRUTH).exists():
            by_id = _synsets_by_id(place / META)
            unknown = next((line for line in _lines(place / TRUTH) if line not in by_id), None)
            if unknown is not None:
                raise DataError(f"{place / TRUTH}: {unknown!r} is no number of a synset in {place / META}.")
            return dict(_numbered([by_id[line] for line in _lines(place / TRUTH)]))
    raise DataError(
        f"{folder} holds ILSVRC's validation images without their answers; put {BY_INDEX}, {BY_SYNSET[0]}, or the "
        f"development kit's {TRUTH} and {META} into it."
    )


def _numbered(synsets: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"ILSVRC2012_val_{number:08}.JPEG", synset) for number, synset in enumerate(synsets, 1)]


def _synset(index: str, path: Path) -> str:
    known = synsets()
    if not index.isdecimal() or int(index) >= len(known):
        raise DataError(f"{path}: {index!r} is no class number from 0 to 999.")
    return known[int(index)]


def _synsets_by_id(path: Path) -> dict[str, str]:
    """Synsets by the development kit's own numbers."""
    from scipy.io import loadmat

    try:
        rows = loadmat(path, squeeze_me=True)["synsets"]
        return {str(int(row["ILSVRC2012_ID"])): str(row["WNID"]) for row in rows}
    except OSError as error:
        raise DataError(f"{path} could not be read: {os_error_reason(error)}.") from None
    except Exception as error:  # whatever a damaged file provokes in the reader of a foreign format
        raise DataError(f"{path} is not the development kit's list of synsets: {error}.") from None


def listed(split: Split, path: Path) -> set[str]:
    """The names within DATA of the images that a file lists, a line each: by name, with the folder where the name alone
    is that of several, or, as ILSVRC's blacklist of 1762 does, by the number of the validation image. Raises DataError if
    a line is none of the split's images, or several."""
    whole, by_name = set(split.paths), dict[str, list[str]]()
    for name in whole:
        by_name.setdefault(Path(name).name, []).append(name)
    found = set()
    for line in _lines(path):
        wanted = f"ILSVRC2012_val_{int(line):08}.JPEG" if line.isdecimal() else line
        ending = [name for name in by_name.get(Path(wanted).name, []) if f"/{wanted}".endswith(f"/{name}")]
        named = [wanted] if wanted in whole else ending or by_name.get(wanted, [])
        if not named:
            raise DataError(f"{path}: {line} is no image of {split.where}.")
        if len(named) > 1:
            raise DataError(f"{path}: {line} is {len(named)} images of {split.where}; write its folder too.")
        found.add(named[0])
    return found


def _lines(path: Path) -> list[str]:
    with reading(path, DataError):
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
