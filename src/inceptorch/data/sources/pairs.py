"""Data sets from Python: (image, label) pairs as splits."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.sources.folders import Source
from inceptorch.data.split import Split, stratified
from inceptorch.data.string_array import Files, Names
from inceptorch.errors import DataError
from inceptorch.images.inputs import load_image

PARTS = ("train", "val")


class Pairs(Source):
    """A torch Dataset, or any sequence of pairs. An image is a path, the bytes of a file, a Pillow image, or uint8 [H,
    W, 3] or [3, H, W]. An image's name is its number; its bytes are an uncompressed file of its pixels."""

    checked = True  # whoever wrote the data set knows that it can be read

    def __init__(self, pairs: Any, where: str):
        self.pairs = pairs
        self.where = where
        self._one_at_a_time = threading.Lock()  # no data set promises more

    def __getstate__(self) -> dict[str, object]:
        return {"pairs": self.pairs, "where": self.where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, path: str) -> bytes:
        with self._one_at_a_time:
            image = self.pairs[int(path)][0]
        file = io.BytesIO()
        load_image(image).save(file, "PPM")
        return file.getvalue()

    def label(self, path: str) -> str:
        return f"image {int(path)} of {self.where}"


def split_pairs(data: Any, val_fraction: float, seed: int) -> tuple[Split, Split]:
    """The training and the validation images of `data`: a tuple or dict of two, else divided by the seed. Raises
    DataError."""
    name = name_of(data)
    if isinstance(data, Mapping):
        if set(data) != set(PARTS):
            raise DataError(f"Cannot use this data: the dict has {', '.join(map(str, data))}. Give it train and val.")
        data = tuple(data[part] for part in PARTS)
    if not isinstance(data, tuple):
        return stratified(_split(data, "", name), val_fraction, seed)
    if len(data) != 2:
        raise DataError(f"Cannot use this data: the tuple has {len(data)} parts. Give it two, train and val.")
    train, val = (_split(part, which, f"{name} ({which})") for part, which in zip(data, PARTS, strict=True))
    return train, val.relabelled(train.classes)


def name_of(data: Any) -> str:
    """What to call the data set."""
    first = data["train"] if isinstance(data, Mapping) and "train" in data else data
    first = first[0] if isinstance(first, tuple) and first else first
    return type(first).__name__


def _split(pairs: Any, name: str, where: str) -> Split:
    if not (hasattr(pairs, "__len__") and hasattr(pairs, "__getitem__")):
        raise DataError(f"Cannot use {where}: it has no length or no items. Give a Dataset or a list of pairs.")
    labels = _labels(pairs, where)
    classes = [str(each) for each in getattr(pairs, "classes", range(int(labels.max()) + 1))]
    if len(classes) < 2 or labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"Cannot use {where}: its labels are {labels.min()} to {labels.max()}, of {len(classes)} classes. "
            "Give labels from 0, two classes or more, and their names as `classes`."
        )
    files = Files.of_names(Names(f"{number:09}" for number in range(len(labels))))
    return Split(name, where, Pairs(pairs, where), tuple(classes), files, labels.astype(np.int32))


def _labels(pairs: Any, where: str) -> NDArray[np.int64]:
    """As torchvision's data sets have them, else one by one."""
    given = None if getattr(pairs, "target_transform", None) else getattr(pairs, "targets", None)
    try:
        labels = np.asarray(given if given is not None else [pairs[index][1] for index in range(len(pairs))])
    except (TypeError, IndexError, KeyError) as error:
        raise DataError(f"Cannot use {where}: its items are no (image, label) pairs ({error}).") from None
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise DataError(f"Cannot use {where}: it does not have one whole number as the label of each image.")
    return labels.astype(np.int64)
