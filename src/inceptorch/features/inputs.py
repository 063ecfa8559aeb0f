"""The images of one side of a comparison: data on disk, with or without classes, or images in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inceptorch.data.locator import TORCHVISION, URL
from inceptorch.data.resolve import has_boxes, open_splits
from inceptorch.data.sources.base import Tree, is_image
from inceptorch.data.sources.folder import Folder
from inceptorch.data.sources.manifest import is_list, open_manifest
from inceptorch.data.sources.shards import are_shards
from inceptorch.data.sources.zip import Zip
from inceptorch.data.split import Split
from inceptorch.data.string_array import StringArray
from inceptorch.errors import DataError, did_you_mean
from inceptorch.images.decode import Decoded
from inceptorch.images.inputs import decode_input, is_one_image


def open_images(data: str | Path, split: str | None = None) -> list[Split]:
    """The images of DATA, whether it has classes or not: of a folder or zip file all images at any depth, in the order
    of their paths; of lists, shards and torchvision's data sets all splits, or the one called `split`.

    Raises DataError for DATA that cannot be read, or holds no images.
    """
    path = Path(data)
    named = str(data).startswith(TORCHVISION) or URL in str(data)
    if split is None and not named and path.is_dir() and not are_shards(path):
        found = [_every_image(Folder(path))]
    elif split is None and not named and path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        found = [_every_image(Zip(path))]
    elif not named and path.is_file() and is_image(path.name):
        raise DataError(f"Cannot use {data}: it is one image. Name a folder, a zip or a list of many.")
    else:
        unlabeled = not named and is_list(path.name) and path.is_file() and not has_boxes(path)
        splits = open_manifest(path, labeled=False) if unlabeled else open_splits(data)
        if split is not None and split not in splits:
            known = [name for name in splits if name]
            why = did_you_mean(split, known) if known else "it is not divided."
            raise DataError(f"Cannot find the split {split!r} of {data}: {why}")
        found = [splits[name]() for name in ([split] if split is not None else splits)]
    if not any(map(len, found)):
        raise DataError(f"Cannot use {data}: it holds no images. Name a folder, a zip or a list of images.")
    return [each for each in found if len(each)]


def _every_image(tree: Tree) -> Split:
    names = StringArray(filter(is_image, tree.files()))
    return Split("", tree.label(""), tree, ("",), tree.files_of(names), np.zeros(len(names), np.int32))


def iter_images(images: Any) -> Iterator[Decoded]:
    """The images in memory one by one: a batch uint8 [N, H, W, C] or torch's [N, C, H, W], or an iterable of images,
    as `predict` takes them, and of such batches. Raises ImageError, and ImageInputError for other types."""
    batches: Iterable[Any] = images
    if _is_batch(images):
        batches = [images]
    elif is_one_image(images):
        raise DataError("Cannot compare one image. Try a batch [N, H, W, 3], or an iterable of images.")
    for each in batches:
        if _is_batch(each):
            yield from map(decode_input, each)
        else:
            yield decode_input(each)


def _is_batch(images: Any) -> bool:
    """Whether this is an array or a tensor of several images."""
    return getattr(images, "ndim", None) == 4
