"""Images that belong together, such as the frames of one film or views of one object, and folds that keep them so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.sources.manifest import is_list, read_column
from inceptorch.data.split import Split, divided, stratified
from inceptorch.errors import DataError

Groups = NDArray[np.str_]  # [N], the name of each image's group


def groups_of(split: Split, group_by: str) -> Groups | None:
    """The group of each image by `group_by`: a column of the list, or a regular expression that is searched in each
    name, whose first group names the image's group, or its whole match. None where `group_by` is empty.

    Raises DataError for an image that has none.
    """
    if not group_by:
        return None
    listed = read_column(Path(split.where), group_by) if is_list(split.where) else None
    return np.array(
        [listed[path] for path in split.paths] if listed is not None else _matches(split, group_by), np.str_
    )


def _matches(split: Split, pattern: str) -> list[str]:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise DataError(
            f"Cannot group images by {pattern!r}: it is no column and no regular expression ({error}). "
            "Try --group-by '^(.*)_[0-9]+'."
        ) from None
    names = []
    for path in split.paths:
        found = search(path)
        if found is None:
            raise DataError(
                f"Cannot group {split.source.label(path)} by {pattern!r}: its name {path!r} does not match. "
                "Try an expression that matches every name."
            )
        names.append((found[1] if found.re.groups else found[0]) or "")
    return names


def train_val_split(whole: Split, val_fraction: float, seed: int, group_by: str = "") -> tuple[Split, Split]:
    """Training and validation images of a split that has not been divided, drawn by the seed. With `group_by`, no group
    is parted, and validation is one of round(1 / val_fraction) folds, of two at least.

    Raises DataError where too few groups have a class, and as `groups_of` does.
    """
    groups = groups_of(whole, group_by)
    if groups is None:
        return stratified(whole, val_fraction, seed)
    folds = max(2, round(1 / val_fraction))
    fold = folds_of(whole.labels, groups, folds, seed)
    # The fold that comes nearest to that part of every class, as large groups can leave folds without some.
    parts = np.array([np.bincount(fold[whole.labels == label], minlength=folds) for label in np.unique(whole.labels)])
    off = np.abs(parts / parts.sum(1, keepdims=True) - 1 / folds).sum(0)
    train, val = divided(whole, fold == off.argmin())
    missing = [name for name, count in train.with_classes(whole.classes).counts().items() if not count]
    if missing or not len(val):
        what = f"all images of {missing[0]} are" if missing else "each class is"
        raise DataError(
            f"Cannot divide {whole.where} by {group_by!r}: {what} of one group. Try another --group-by, or divide the "
            "images into train and val."
        )
    return train, val


def folds_of(labels: NDArray[np.int32], groups: Groups | None, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each image, [N] from 0: each has as many images of each class as can be without parting a group.

    Drawn by the seed. Groups are placed from the largest on, each where its classes are rarest, as scikit-learn's
    StratifiedGroupKFold does.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    found = np.empty(len(labels), np.int64)
    if groups is None:
        found[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % folds
        return found
    drawn, members = np.unique(groups[order], return_inverse=True)
    first = np.full(len(drawn), len(order))
    np.minimum.at(first, members, np.arange(len(order)))  # groups of equal size come in the drawn order
    sizes = np.bincount(members)
    total = np.bincount(labels).astype(float)
    counts = np.zeros((folds, len(total)))
    by_group = np.split(order[np.argsort(members, kind="stable")], np.cumsum(sizes)[:-1])
    for number in np.lexsort((first, -sizes)):
        classes, times = np.unique(labels[by_group[number]], return_counts=True)
        rarity = (counts[:, classes] * times / total[classes]).sum(1)
        fold = np.lexsort((counts.sum(1), rarity))[0]
        counts[fold, classes] += times
        found[by_group[number]] = fold
    return found
