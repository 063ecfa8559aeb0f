"""Names for the classes of weights that come without."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from inceptorch.errors import BundleError
from inceptorch.utils.files import read_text, reading

IMAGENET = 1000  # classes


def class_names(count: int, expected: int, labels: Path | None, file: Path) -> list[str]:
    """Class names from `labels`, else from synset_words.txt beside the file, else torchvision's for ImageNet, else, for
    published weights with as many outputs as `expected`, numbers. Raises BundleError."""
    beside = file.with_name("synset_words.txt")
    if labels or (count == IMAGENET and beside.exists()):
        names_file = labels or beside
        classes = read_labels(names_file)
        if len(classes) != count:
            raise BundleError(f"Cannot use {names_file}: it names {len(classes)} classes; the weights have {count}.")
        for name, times in Counter(classes).items():
            if times > 1:
                raise BundleError(f"Cannot use {names_file}: it has the class {name!r} twice.")
        return classes
    if count == IMAGENET:
        from torchvision.models import GoogLeNet_Weights

        names = GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]
        return _distinct(names, [str(index) for index in range(count)])
    if count == expected:
        return [f"class {index}" for index in range(count)]
    raise BundleError(f"Cannot name the {count} classes of the weights. Try --labels with a file of their names.")


def read_labels(path: Path) -> list[str]:
    """Class names, one per line; a synset number in front ("n01440764 tench") is dropped. Raises BundleError."""
    with reading(path, BundleError):
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    matches = [re.fullmatch(r"(?:(n\d{8})\s+)?(.*)", line) for line in lines]
    synsets, names = zip(*(match.groups() for match in matches if match), strict=True) if lines else ((), ())
    return _distinct(names, synsets)


def _distinct(names: Sequence[str], marks: Sequence[str | None]) -> list[str]:
    """Class names; those that come twice have their mark behind them, if any: ImageNet has two cranes."""
    times = Counter(names)
    return [f"{name} ({mark})" if times[name] > 1 and mark else name for name, mark in zip(names, marks, strict=True)]
