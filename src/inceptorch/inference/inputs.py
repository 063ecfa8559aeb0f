"""The images behind arguments, one by one: files, folders, and whatever else an image may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.classifier.config import ClassifierConfig
from inceptorch.data.sources.base import Unused, is_image
from inceptorch.data.sources.folder import Folder
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import is_one_image, load_image
from inceptorch.images.letterbox import letterbox
from inceptorch.images.preprocessing import ImageArray
from inceptorch.utils.progress import Progress

Entry = dict[str, Any]  # {"file"} with the result for the image, or with "error"


def each_image(
    images: ImageInput | Iterable[ImageInput],
    exclude: Path | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Iterator[tuple[Entry, Any]]:
    """An entry and the image, for each of any number of images. The entry of a file has its name. A folder stands for
    its images, except those in `exclude`; without any, its entry has an "error". At the end, `say` is told how many
    other files the folders hold."""
    several: Iterable[Any] = [images] if is_one_image(images) else images  # type: ignore[assignment]
    unused = Unused()
    for image in several:
        if not isinstance(image, str | Path):
            yield {}, image
            continue
        excluded = os.path.realpath(exclude) if exclude is not None and os.path.isdir(image) else None
        try:
            for file in find_images(Path(image), unused):
                if excluded is None or not Path(os.path.realpath(file)).is_relative_to(excluded):
                    yield {"file": file}, file
        except ImageError as error:
            yield {"file": str(error.path), "error": error.reason}, None
    if str(unused):
        say(f"not used: {unused}")


def image_entries(
    paths: Iterable[Path], exclude: Path | None = None, say: Callable[[str], object] = lambda line: None
) -> Iterator[Entry]:
    """The entries of `each_image` for paths."""
    return (entry for entry, _ in each_image(paths, exclude, say))


def find_images(path: Path, unused: Unused | None = None) -> Iterator[str]:
    """The file itself, or every image in a folder, sorted; its other files are added to `unused`. Raises ImageError for
    a folder without images, and for a URL."""
    if path.parts[:1] in (("http:",), ("https:",)):
        raise ImageError(path.as_posix().replace(":/", "://", 1), "is an address; download the image first")
    if not os.path.isdir(path):  # Path.is_dir would raise for a name that is too long
        yield str(path)
        return
    empty = True
    try:
        for name in Folder(path).files():
            if is_image(name):
                empty = False
                yield str(path / name)
            elif unused is not None:
                unused.add(name)
    except DataError as error:
        raise ImageError(path, f"could not be listed: {str(error).removesuffix('.')}") from None
    if empty:
        raise ImageError(path, "is a folder that holds no images")


def to_input(image: Image.Image, config: ClassifierConfig) -> ImageArray:
    """An upright RGB image as a network takes it, [height, width, 3]: its center crop, for a detector its letterbox."""
    if config.detection is None:
        return config.preprocessing.apply(image)
    return letterbox(image, *config.input_size, config.preprocessing).image


def load_inputs(path: Path, config: ClassifierConfig, count: int, progress: Progress) -> NDArray[np.uint8]:
    """At most `count` images behind a path as a network takes them, [N, height, width, 3]. Images that cannot be read
    are reported and left out. Raises ImageError if none can be read."""
    crops, errors = [], []
    for entry, image in islice(each_image(path), count):
        try:
            if "error" in entry:
                raise ImageError(entry["file"], entry["error"])
            crops.append(to_input(load_image(image), config))
        except ImageError as error:
            errors.append(str(error).removesuffix("."))
    if not crops:
        raise ImageError(path, f"holds no image that can be read: {errors[0]}")
    for line in errors:
        progress.info(f"{line}; left out")
    return np.stack(crops)
