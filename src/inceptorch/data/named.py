"""The data sets that torchvision knows by name."""

from __future__ import annotations

import inspect
import io
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.data.address import torchvision_parts
from inceptorch.data.folder import Split
from inceptorch.data.names import Files, Names
from inceptorch.data.source import Listed, Source
from inceptorch.errors import DataError, PictureError, did_you_mean
from inceptorch.files import cache_folder

# What the data sets' argument `split` calls the parts, by our names; the first one that a data set knows.
SPLIT_VALUES = {"train": ("train", "trainval"), "val": ("val", "valid"), "test": ("test",)}


class Dataset(Source):
    """A data set of torchvision. A picture's name is its number; its bytes are a PNG of what the data set gives."""

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
                picture = self.dataset[int(path)][0]
            image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
        except Exception as error:  # a data set's own code
            raise PictureError(f"could not be read: {error or type(error).__name__}") from None
        png = io.BytesIO()
        image.save(png, "PNG", compress_level=1)
        return png.getvalue()

    def label(self, path: str) -> str:
        return f"picture {path} of {self.where}"


def open_dataset(data: str) -> dict[str, Callable[[], Split]]:
    """How to get each part of "torchvision:NAME" or "torchvision:NAME:FOLDER", by its name; "" where it is not divided.

    What is not in the folder is downloaded if torchvision can. Raises DataError.
    """
    from torchvision import datasets

    name, root = torchvision_parts(data)
    known = [each for each in datasets.__all__ if inspect.isclass(getattr(datasets, each))]
    if name not in known:
        raise DataError(f"torchvision has no data set {name!r}: {did_you_mean(name, known)}")
    make = getattr(datasets, name)
    takes = inspect.signature(make).parameters
    values: dict[str, dict[str, Any]] = {"": {}}
    if "train" in takes:
        values = {"train": {"train": True}, "test": {"train": False}}
    elif "split" in takes:
        values = {part: {"split": value} for part, value in _split_values(make).items()}
        if not values:
            raise DataError(f"{data}: the argument `split` of torchvision's {name} is none of train, val and test.")
    root = root or cache_folder() / "torchvision"
    return {part: partial(_read_part, data, part, make, root, arguments) for part, arguments in values.items()}


def _split_values(make: Callable[..., Any]) -> dict[str, str]:
    """What a data set's argument `split` calls each part that it has; a value it does not know is a ValueError."""
    found = {}
    with TemporaryDirectory() as empty:
        for part, values in SPLIT_VALUES.items():
            for value in values:
                try:
                    make(empty, split=value)
                except ValueError:
                    continue
                except Exception:  # its files are not there, or a library that it needs
                    pass
                found[part] = value
                break
    return found


def _read_part(data: str, part: str, make: Callable[..., Any], root: Path, arguments: dict[str, Any]) -> Split:
    dataset = _open(data, make, root, arguments)
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


def _open(data: str, make: Callable[..., Any], root: Path, arguments: dict[str, Any]) -> Any:
    """The data set, downloaded if need be. Raises DataError."""
    takes = inspect.signature(make).parameters
    place = {"root": str(root)} if "root" in takes else {}
    try:
        try:
            return make(**place, **arguments)
        except (RuntimeError, OSError):
            if "download" not in takes:
                raise
        root.mkdir(parents=True, exist_ok=True)
        return make(**place, **arguments, download=True)
    except ImportError as error:
        raise DataError(f"{data} needs {error.name}, which is not installed: pip install {error.name}") from None
    except (
        Exception
    ) as error:  # torchvision raises what comes: no network, a damaged archive, arguments that are missing
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{data} could not be had from {root}, nor be downloaded: {why.rstrip('.')}; {_remedy(make, root)}."
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
    """The number of every picture's class. Raises DataError if pictures have none, or several."""
    for name in ("targets", "labels", "_labels"):
        if hasattr(dataset, name):
            labels = np.asarray(getattr(dataset, name))
            break
    else:
        pairs = getattr(dataset, "samples", None) or getattr(dataset, "_samples", None) or dataset
        labels = np.array([pairs[index][1] for index in range(len(pairs))])
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise DataError(f"{where} does not have one class for each picture, so nothing can be trained on it here.")
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
