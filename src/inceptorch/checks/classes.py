"""Classes with too few images, and classes that differ between splits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches

import numpy as np

from inceptorch.checks.findings import MAX_IMBALANCE, MIN_IMAGES, Finding
from inceptorch.checks.scan import DatasetScan
from inceptorch.data import BoxSplit, Split

Counts = dict[str, int]  # of each class, its readable images, or their boxes


def class_findings(scan: DatasetScan) -> Iterator[Finding]:
    """Classes that training would refuse, learn badly, or not be evaluated on."""
    counts: dict[str, Counts] = {}
    for name, split in scan.splits.items():
        counts[name] = split.select(np.flatnonzero(scan.readable[scan.indices(name)])).counts()
    train = next((name for name in ("", "train") if name in counts), None)
    if train is None:
        where = tuple(split.where for split in scan.splits.values())
        yield Finding("nothing-to-train-on", where, f"{' and '.join(counts)} without train: usable for evaluation only")
    else:
        yield from _training_classes(scan.splits[train], counts[train])
        for other in counts:
            if other != train:
                yield from _missing_classes(scan, train, other, counts)
    similar: dict[str, list[str]] = {}
    for name in scan.classes:
        plain = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
        similar.setdefault(plain, []).append(name)
    for names in similar.values():
        if len(names) > 1:
            folders = [
                _folder(split, name) for name in names for split in scan.splits.values() if name in split.classes
            ]
            yield Finding("similar-class-names", tuple(folders), " and ".join(map(repr, names)))


def _folder(split: Split, name: str) -> str:
    """The name of a class for messages."""
    if split.within is None:
        return f"{split.where}: {name}"
    return split.source.label(f"{split.within}/{name}" if split.within else name)


def _training_classes(split: Split, counts: Counts) -> Iterator[Finding]:
    if isinstance(split, BoxSplit):
        if not any(counts.values()):
            yield Finding("nothing-to-train-on", (split.where,), "has no boxes")
        for name, count in counts.items():
            if count < MIN_IMAGES:
                yield Finding("small-class", (_folder(split, name),), f"has {count} box{'' if count == 1 else 'es'}")
        return
    if len(counts) < 2:
        note = (
            f"has {f'the one class {next(iter(counts))!r}' if counts else 'no class'}; a classifier needs at least two"
        )
        yield Finding("nothing-to-train-on", (split.where,), note)
    largest = max(counts, key=lambda name: counts[name], default="")
    listed = split.counts()
    for name, count in counts.items():
        where = (_folder(split, name),)
        if not count:
            yield Finding("empty-class", where, f"holds no {'readable image' if listed[name] else 'images'}")
            continue
        if count < MIN_IMAGES:
            yield Finding("small-class", where, f"has {count} images")
        if count * MAX_IMBALANCE < counts[largest]:
            ratio = counts[largest] / count
            note = f"has {count} images, {largest!r} has {counts[largest]}: {ratio:.0f} times as many"
            yield Finding("unbalanced-class", where, note)


def _missing_classes(scan: DatasetScan, train: str, other: str, counts: dict[str, Counts]) -> Iterator[Finding]:
    for name, listed in scan.splits[other].counts().items():
        if listed and name not in counts[train]:
            near = get_close_matches(name, counts[train], n=1)
            note = f"is not a class of {train}" + (f"; did you mean {near[0]!r}?" if near else "")
            yield Finding("missing-in-train", (_folder(scan.splits[other], name),), note)
    for name, count in counts[train].items():
        if count and not counts[other].get(name):
            unit = "boxes" if isinstance(scan.splits[other], BoxSplit) else "images"
            yield Finding("missing-in-val", (_folder(scan.splits[train], name),), f"has no {unit} in {other}")
