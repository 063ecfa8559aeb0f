"""The data sets that torchvision knows by name."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inceptorch.data.locator import parse_torchvision
from inceptorch.data.sources.base import Source
from inceptorch.data.sources.folder import Folder
from inceptorch.data.sources.pairs import Pairs, read_labels
from inceptorch.data.split import Split
from inceptorch.data.string_array import Files, StringArray
from inceptorch.errors import DataError, ImageError, did_you_mean
from inceptorch.utils.files import cache_folder

Arguments = dict[str, Any]


def _by_split(**values: str) -> dict[str, Arguments]:
    return {name: {"split": value} for name, value in values.items()}


TRAIN_TEST: dict[str, Arguments] = {"train": {"train": True}, "test": {"train": False}}
UNDIVIDED: dict[str, Arguments] = {"": {}}


# The arguments that choose each split of a data set, by our name of the split; "" for a data set that is not divided.
DATASETS: dict[str, dict[str, Arguments]] = {
    name: splits
    for splits, names in (
        (TRAIN_TEST, "CIFAR10 CIFAR100 MNIST FashionMNIST KMNIST USPS"),
        (_by_split(train="train", val="val", test="test"), "FGVCAircraft Flowers102 DTD PCAM"),
        (_by_split(train="train", val="valid", test="test"), "Country211"),
        (_by_split(train="train", test="test"), "Food101 GTSRB STL10 SVHN StanfordCars"),
        (_by_split(train="trainval", test="test"), "OxfordIIITPet"),
        (_by_split(train="train", val="val"), "ImageNet Imagenette"),
        (UNDIVIDED, "Caltech101 Caltech256 EuroSAT SUN397 ImageFolder"),
    )
    for name in names.split()
}
NOT_DOWNLOADED = ("ImageNet", "ImageFolder")  # torchvision cannot
LABELS = ("targets", "labels", "_labels")


class Dataset(Pairs):
    """A data set of torchvision. An image's name is its number; its bytes are a PNG of the data set's image."""

    def __init__(self, dataset: Any, where: str):
        super().__init__(dataset, where)
        self.checked = hasattr(getattr(dataset, "data", None), "shape")  # an array, not files still to be opened

    def read(self, path: str) -> bytes:
        try:
            image = self.image(path)
            image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
        except Exception as error:  # the data set's own code may raise anything
            raise ImageError(self.label(path), f"could not be read: {error or type(error).__name__}") from None
        png = io.BytesIO()
        image.save(png, "PNG", compress_level=1)
        return png.getvalue()

    def label(self, path: str) -> str:
        return f"image {path} of {self.where}"


def open_dataset(data: str, download: bool) -> dict[str, Callable[[], Split]]:
    """The splits of "torchvision:NAME" or "torchvision:NAME:FOLDER", by name; "" if it is not divided.

    Missing files are downloaded if `download` is set and torchvision can. Raises DataError.
    """
    from torchvision import datasets

    name, root = parse_torchvision(data)
    if name not in DATASETS:
        raise DataError(f"Cannot read torchvision's data set {name!r}: {did_you_mean(name, DATASETS)}")
    root = root or cache_folder() / "torchvision"
    make = partial(_open, data, getattr(datasets, name), root, download and name not in NOT_DOWNLOADED)
    return {split: partial(_read_split, data, split, make, root, chosen) for split, chosen in DATASETS[name].items()}


def _read_split(data: str, split: str, make: Callable[..., Any], root: Path, arguments: Arguments) -> Split:
    dataset = make(arguments)
    where = f"{data} ({split})" if split else data
    samples = getattr(dataset, "samples", None)
    pairs = (
        dataset if any(hasattr(dataset, name) for name in LABELS) else samples or getattr(dataset, "_samples", dataset)
    )
    labels = read_labels(pairs, where, LABELS)
    numbers, labels = np.unique(labels, return_inverse=True)
    classes = _class_names(dataset, numbers.tolist())
    if samples and isinstance(samples[0][0], str):  # files, which can be read as they are
        source: Source = Folder(root)
        files = Folder(root).files_of(StringArray(os.path.relpath(path, root) for path, _ in samples))
    else:
        source = Dataset(dataset, where)
        files = Files.of_names(StringArray(f"{number:06}" for number in range(len(labels))))
    return Split(split, where, source, classes, files, labels.astype(np.int32))


def _open(data: str, make: Callable[..., Any], root: Path, download: bool, arguments: Arguments) -> Any:
    """The data set, downloaded if needed. Raises DataError."""
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
    except Exception as error:  # no network, a damaged archive, missing arguments: torchvision may raise anything
        why = (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
        attempt = f"from {root}{', nor be downloaded' if download else ''}"
        raise DataError(f"{data} could not be read {attempt}: {why}; {_remedy(make, root)}.") from None


def _remedy(make: Callable[..., Any], root: Path) -> str:
    """The files to get, and the folder for them, as far as a data set names them."""
    resources, mirrors, url = (getattr(make, name, None) for name in ("resources", "mirrors", "url"))
    if resources and mirrors:
        files = ", ".join(file for file, _ in resources)
        return f"fetch {files} from {mirrors[0]} in another way and put them into {root / make.__name__ / 'raw'}"
    if url:
        return f"fetch {url} in another way and put it into {root}"
    return f"put its files into {root} as torchvision's documentation says"


def _class_names(dataset: Any, numbers: Sequence[int]) -> tuple[str, ...]:
    """The names of the classes with these numbers; two of one name have their number behind it."""
    names = [", ".join(name) if isinstance(name, tuple) else str(name) for name in getattr(dataset, "classes", ())]
    if numbers[-1] >= len(names):
        return tuple(map(str, numbers))
    chosen = [names[number] for number in numbers]
    return tuple(
        f"{name} {number}" if chosen.count(name) > 1 else name for name, number in zip(chosen, numbers, strict=True)
    )
