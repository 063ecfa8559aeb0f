"""The data sets that torchvision knows by name."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.data.locator import torchvision_parts
from inceptorch.data.sources.folders import Listed, Source
from inceptorch.data.split import Split
from inceptorch.data.string_array import Files, Names
from inceptorch.errors import DataError, ImageError, did_you_mean
from inceptorch.utils.files import cache_folder


def _splits(**values: str) -> dict[str, dict[str, Any]]:
    return {part: {"split": value} for part, value in values.items()}


WHOLE: dict[str, dict[str, Any]] = {"": {}}
TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
THREE = _splits(train="train", val="val", test="test")
TWO = _splits(train="train", test="test")

# The data sets that are read here: the arguments that choose each part, by our name for it; "" where it is not divided.
DATASETS = {
    "CIFAR10": TRAIN_TEST,
    "CIFAR100": TRAIN_TEST,
    "MNIST": TRAIN_TEST,
    "FashionMNIST": TRAIN_TEST,
    "KMNIST": TRAIN_TEST,
    "USPS": TRAIN_TEST,
    "FGVCAircraft": THREE,
    "Flowers102": THREE,
    "DTD": THREE,
    "PCAM": THREE,
    "Country211": _splits(train="train", val="valid", test="test"),
    "Food101": TWO,
    "GTSRB": TWO,
    "STL10": TWO,
    "SVHN": TWO,
    "StanfordCars": TWO,
    "OxfordIIITPet": _splits(train="trainval", test="test"),
    "ImageNet": _splits(train="train", val="val"),
    "Imagenette": _splits(train="train", val="val"),
    "Caltech101": WHOLE,
    "Caltech256": WHOLE,
    "EuroSAT": WHOLE,
    "SUN397": WHOLE,
    "ImageFolder": WHOLE,
}
NOT_DOWNLOADED = ("ImageNet", "ImageFolder")  # torchvision cannot


class Dataset(Source):
    """A data set of torchvision. An image's name is its number; its bytes are a PNG of what the data set gives."""

    def __init__(self, dataset: Any, where: str):
        self.dataset = dataset
        self.where = where
        self.checked = hasattr(getattr(dataset, "data", None), "shape")  # an array, not files still to be opened
        self._one_at_a_time = threading.Lock()  # no data set promises more

    def __getstate__(self) -> dict[str, object]:
        return {"dataset": self.dataset, "where": self.where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, path: str) -> bytes:
        try:
            with self._one_at_a_time:
                image = self.dataset[int(path)][0]
            image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
        except Exception as error:  # a data set's own code
            raise ImageError(self.label(path), f"could not be read: {error or type(error).__name__}") from None
        png = io.BytesIO()
        image.save(png, "PNG", compress_level=1)
        return png.getvalue()

    def label(self, path: str) -> str:
        return f"image {path} of {self.where}"


def open_dataset(data: str, download: bool) -> dict[str, Callable[[], Split]]:
    """How to get each part of "torchvision:NAME" or "torchvision:NAME:FOLDER", by its name; "" where it is not divided.

    What is not in the folder is downloaded if `download` says so and torchvision can. Raises DataError.
    """
    from torchvision import datasets

    name, root = torchvision_parts(data)
    if name not in DATASETS:
        raise DataError(f"Cannot read torchvision's data set {name!r}: {did_you_mean(name, DATASETS)}")
    root = root or cache_folder() / "torchvision"
    make = partial(_open, data, getattr(datasets, name), root, download and name not in NOT_DOWNLOADED)
    return {part: partial(_read_part, data, part, make, root, chosen) for part, chosen in DATASETS[name].items()}


def _read_part(data: str, part: str, make: Callable[..., Any], root: Path, arguments: dict[str, Any]) -> Split:
    dataset = make(arguments)
    where = f"{data} ({part})" if part else data
    labels = _labels(dataset, where)
    numbers, labels = np.unique(labels, return_inverse=True)
    classes = _class_names(dataset, numbers.tolist())
    samples = getattr(dataset, "samples", None)
    if samples and isinstance(samples[0][0], str):  # files, which can be read as they are
        source: Source = Listed(root)
        files = Listed(root).files_of(Names(os.path.relpath(path, root) for path, _ in samples))
    else:
        source = Dataset(dataset, where)
        files = Files.of_names(Names(f"{number:06}" for number in range(len(labels))))
    return Split(part, where, source, classes, files, labels.astype(np.int32))


def _open(data: str, make: Callable[..., Any], root: Path, download: bool, arguments: dict[str, Any]) -> Any:
    """The data set, downloaded if need be. Raises DataError."""
    try:
        try:
            return make(root=str(root), **arguments)
        except (RuntimeError, OSError):
            if not download:
                raise
        root.mkdir(parents=True, exist_ok=True)
        return make(root=str(root), **arguments, download=True)
    except ImportError as error:
        raise DataError(f"{data} needs {error.name}, which is not installed: pip install {error.name}") from None
    except (
        Exception
    ) as error:  # torchvision raises what comes: no network, a damaged archive, arguments that are missing
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{data} could not be had from {root}{', nor be downloaded' if download else ''}: {why.rstrip('.')}; {_remedy(make, root)}."
        ) from None


def _remedy(make: Callable[..., Any], root: Path) -> str:
    """What to put where, as far as a data set says it."""
    resources, mirrors = getattr(make, "resources", None), getattr(make, "mirrors", None)
    if resources and mirrors:
        files = ", ".join(file for file, _ in resources)
        return f"fetch {files} from {mirrors[0]} in another way and put them into {root / make.__name__ / 'raw'}"
    url = getattr(make, "url", None)
    if url:
        return f"fetch {url} in another way and put it into {root}"
    return f"put its files into {root} as torchvision's documentation says"


def _labels(dataset: Any, where: str) -> NDArray[np.int64]:
    """The number of every image's class. Raises DataError if images have none, or several."""
    for name in ("targets", "labels", "_labels"):
        if hasattr(dataset, name):
            labels = np.asarray(getattr(dataset, name))
            break
    else:
        pairs = getattr(dataset, "samples", None) or getattr(dataset, "_samples", None) or dataset
        labels = np.array([pairs[index][1] for index in range(len(pairs))])
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise DataError(f"{where} does not have one class for each image, so nothing can be trained on it here.")
    return labels.astype(np.int64)


def _class_names(dataset: Any, numbers: Sequence[int]) -> tuple[str, ...]:
    """The names of the classes with these numbers; two of one name have their number behind it."""
    names = list(getattr(dataset, "classes", ()))
    if not numbers[-1] < len(names):
        return tuple(map(str, numbers))
    chosen = [
        ", ".join(name) if isinstance(name, tuple) else str(name) for name in (names[number] for number in numbers)
    ]
    return tuple(
        f"{name} {number}" if chosen.count(name) > 1 else name for name, number in zip(chosen, numbers, strict=True)
    )
