"""The images behind arguments: files, the images of folders, and whatever else an image may be, one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.sources.folders import Folder
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import is_one_image, load_image
from inceptorch.images.preprocessing import Preprocessing
from inceptorch.utils.progress import Progress

Entry = dict[str, Any]  # {"file"} with what is said of the image, or with "error"


def each_image(
    images: ImageInput | Iterable[ImageInput], but_within: Path | None = None
) -> Iterator[tuple[Entry, Any]]:
    """For every image an entry to answer, and the image. A file has its name in the entry. A folder stands for the
    images in it, of which those in `but_within` are left out; where it has none, the entry has an "error". They come
    one by one, so that there may be any number."""
    several: Iterable[Any] = [images] if is_one_image(images) else images  # type: ignore[assignment]
    for image in several:
        if not isinstance(image, str | Path):
            yield {}, image
            continue
        left_out = os.path.realpath(but_within) if but_within is not None and os.path.isdir(image) else None
        try:
            for file in find_images(Path(image)):
                if left_out is None or not Path(os.path.realpath(file)).is_relative_to(left_out):
                    yield {"file": file}, file
        except ImageError as error:
            yield {"file": str(image), "error": error.reason}, None


def image_entries(paths: Iterable[Path], but_within: Path | None = None) -> Iterator[Entry]:
    """The entries of `each_image` for paths."""
    return (entry for entry, _ in each_image(paths, but_within))


def find_images(path: Path) -> Iterator[str]:
    """The files behind one path: the file itself, or every image in a folder, sorted.

    Raises ImageError for a folder without images; a missing file is left for whoever opens it.
    """
    if not os.path.isdir(path):  # Path.is_dir would raise for a name that is too long
        yield str(path)
        return
    found = False
    try:
        for name in Folder(path).each_image():
            found = True
            yield str(path / name)
    except DataError as error:
        raise ImageError(path, f"could not be listed: {str(error).removesuffix('.')}") from None
    if not found:
        raise ImageError(path, "is a folder that holds no images")


def load_crops(path: Path, preprocessing: Preprocessing, most: int, progress: Progress) -> NDArray[np.uint8]:
    """The center crops [N, S, S, 3] of the first images behind a path, at most so many; those that cannot be read are
    named and left out. Raises ImageError if none can be read."""
    crops, errors = [], []
    for entry, image in islice(each_image(path), most):
        try:
            if "error" in entry:
                raise ImageError(entry["file"], entry["error"])
            crops.append(preprocessing.apply(load_image(image)))
        except ImageError as error:
            errors.append(str(error).removesuffix("."))
    if not crops:
        raise ImageError(path, f"holds no image that can be read: {errors[0]}")
    for line in errors:
        progress.info(f"{line}; left out")
    return np.stack(crops)
