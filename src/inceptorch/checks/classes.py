"""Whether there is enough of every class, and whether the splits have the same ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches

import numpy as np

from inceptorch.checks.findings import FEWEST, MOST_TIMES, Finding
from inceptorch.checks.scan import Survey
from inceptorch.data import Split
from inceptorch.data.split import TRAIN


def of_classes(survey: Survey) -> Iterator[Finding]:
    """Classes that training would refuse, learn badly or not be evaluated on."""
    counts = {name: _counts(survey, name) for name in survey.splits}
    name = next((name for name in ("", *TRAIN) if name in counts), None)
    if name is None:
        where = tuple(split.where for split in survey.splits.values())
        yield Finding("nothing-to-train-on", where, f"{' and '.join(counts)} without train: fit for evaluating alone")
    else:
        yield from _to_train_on(survey.splits[name], counts[name])
        for other in counts:
            if other != name:
                yield from _between(survey, name, other, counts)
    yield from _similar_names(survey)


def folder_of(split: Split, name: str) -> str:
    """The name by which a user finds a class."""
    if split.within is None:
        return f"{split.where}: {name}"
    return split.source.label(f"{split.within}/{name}" if split.within else name)


def _counts(survey: Survey, part: str) -> dict[str, int]:
    """How many readable images each class of a split has."""
    split = survey.splits[part]
    readable = survey.readable[survey.numbers(part)]
    found = np.bincount(split.labels[readable], minlength=len(split.classes)).tolist()
    return dict(zip(split.classes, found, strict=True))


def _to_train_on(split: Split, counts: dict[str, int]) -> Iterator[Finding]:
    largest = max(counts, key=lambda name: counts[name], default="")
    if len(counts) < 2:
        note = f"has {f'the one class {largest!r}' if counts else 'no class'}; a classifier needs at least two"
        yield Finding("nothing-to-train-on", (split.where,), note)
    listed = split.counts()
    for name, count in counts.items():
        where = (folder_of(split, name),)
        if not count:
            note = "holds no image that can be read" if listed[name] else "holds no images"
            yield Finding("empty-class", where, note)
            continue
        if count < FEWEST:
            yield Finding("small-class", where, f"has {count} images")
        if count * MOST_TIMES < counts[largest]:
            times = counts[largest] / count
            note = f"has {count} images, {largest!r} has {counts[largest]}: {times:.0f} times as many"
            yield Finding("unbalanced-class", where, note)


def _between(survey: Survey, train: str, other: str, counts: dict[str, dict[str, int]]) -> Iterator[Finding]:
    """How the classes of another split differ from those to train on."""
    known, evaluated = counts[train], counts[other]
    for name, listed in survey.splits[other].counts().items():
        if listed and name not in known:
            near = get_close_matches(name, known, n=1)
            note = f"is no class of {train}" + (f"; did you mean {near[0]!r}?" if near else "")
            yield Finding("missing-in-train", (folder_of(survey.splits[other], name),), note)
    for name, count in known.items():
        if count and not evaluated.get(name):
            yield Finding("not-evaluated", (folder_of(survey.splits[train], name),), f"has no images in {other}")


def _similar_names(survey: Survey) -> Iterator[Finding]:
    alike: dict[str, list[str]] = {}
    for name in survey.classes:
        plain = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
        alike.setdefault(plain, []).append(name)
    for names in alike.values():
        if len(names) > 1:
            folders = [
                folder_of(split, name) for name in names for split in survey.splits.values() if name in split.classes
            ]
            yield Finding("similar-class-names", tuple(folders), " and ".join(map(repr, names)))
