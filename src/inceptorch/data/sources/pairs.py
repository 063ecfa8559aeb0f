"""Data sets from Python: (image, label) pairs as splits."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.sources.base import Source
from inceptorch.data.split import Split, stratified
from inceptorch.data.string_array import Files, StringArray
from inceptorch.errors import DataError
from inceptorch.images.inputs import load_image

NAMES = ("train", "val")


class Pairs(Source):
    """A torch Dataset, or any sequence of pairs. An image is a path, the bytes of a file, a Pillow image, or uint8
    [H, W, 3] or [3, H, W]. Its name is its number; its bytes are an uncompressed file of its pixels."""

    checked = True  # the author of the data set answers for its images

    def __init__(self, pairs: Any, where: str):
        self.pairs = pairs
        self.where = where
        self._lock = threading.Lock()  # no data set promises to be safe in several threads

    def __reduce__(self) -> tuple[type[Pairs], tuple[Any, str]]:
        return type(self), (self.pairs, self.where)

    def image(self, path: str) -> Any:
        with self._lock:
            return self.pairs[int(path)][0]

    def read(self, path: str) -> bytes:
        file = io.BytesIO()
        load_image(self.image(path)).save(file, "PPM")
        return file.getvalue()

    def label(self, path: str) -> str:
        return f"image {int(path)} of {self.where}"


def open_pairs(data: Any, val_fraction: float, seed: int) -> tuple[Split, Split]:
    """The training and the validation images of `data`: a tuple or dict of two, else divided by the seed. Raises
    DataError."""
    name = dataset_name(data)
    if isinstance(data, Mapping):
        if set(data) != set(NAMES):
            raise DataError(
                f"Cannot use this data: the dict has {', '.join(map(str, data)) or 'no keys'}. Give it train and val."
            )
        data = tuple(data[split] for split in NAMES)
    if not isinstance(data, tuple):
        return stratified(_split(data, "", name), val_fraction, seed)
    if len(data) != 2:
        raise DataError(f"Cannot use this data: the tuple has {len(data)} parts. Give it two, train and val.")
    train, val = (_split(pairs, split, f"{name} ({split})") for pairs, split in zip(data, NAMES, strict=True))
    return train, val.with_classes(train.classes)


def dataset_name(data: Any) -> str:
    """The name of the data set's class."""
    first = data["train"] if isinstance(data, Mapping) and "train" in data else data
    return type(first[0] if isinstance(first, tuple) and first else first).__name__


def _split(pairs: Any, name: str, where: str) -> Split:
    if not (hasattr(pairs, "__len__") and hasattr(pairs, "__getitem__")):
        raise DataError(f"Cannot use {where}: it has no length or no items. Give a Dataset or a list of pairs.")
    labels = read_labels(pairs, where, () if getattr(pairs, "target_transform", None) else ("targets",))
    classes = [str(each) for each in getattr(pairs, "classes", range(int(labels.max()) + 1))]
    if len(classes) < 2 or labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"Cannot use {where}: its labels are {labels.min()} to {labels.max()}, of {len(classes)} classes. "
            "Give labels from 0, two classes or more, and their names as `classes`."
        )
    files = Files.of_names(StringArray(f"{number:09}" for number in range(len(labels))))
    return Split(name, where, Pairs(pairs, where), tuple(classes), files, labels.astype(np.int32))


def read_labels(pairs: Any, where: str, attributes: Sequence[str]) -> NDArray[np.int64]:
    """The label of every image, from the first of these attributes that the data set has, else from the pairs."""
    values = next((getattr(pairs, name) for name in attributes if getattr(pairs, name, None) is not None), None)
    try:
        labels = np.asarray(values if values is not None else [pairs[index][1] for index in range(len(pairs))])
    except (TypeError, IndexError, KeyError) as error:
        raise DataError(
            f"Cannot use {where}: its items are not (image, label) pairs ({error}). Try (image, 0)."
        ) from None
    if not labels.size:
        raise DataError(f"Cannot use {where}: it is empty. Give it (image, label) pairs.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"Cannot use {where}: it does not have one whole number as the label of each image. Number classes from 0."
        )
    return labels.astype(np.int64)
