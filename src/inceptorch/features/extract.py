"""From images to features: decoded, prepared and computed in batches, and kept on disk where their files are known.

Memory holds a few batches, whatever the number of images. Any network and layer, any engine and preparation can be
used: they are an extractor and a function.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.index_cache import digests_of, mtime_is_reliable
from inceptorch.data.split import Split
from inceptorch.data.string_array import UNKNOWN
from inceptorch.data.verify import Skipped
from inceptorch.errors import ImageError, NonFiniteOutputError
from inceptorch.features.extractors import FeatureExtractor
from inceptorch.features.store import DEEP, TRANSPARENT, TURNED, UNKNOWN_DIGEST, Features, FeatureStore, row_type
from inceptorch.images.decode import DECODERS, Decoded, RGBArray, decode
from inceptorch.inference.pipeline import map_batches
from inceptorch.utils.files import cache_folder
from inceptorch.utils.progress import Progress

Prepare = Callable[[RGBArray], NDArray[np.float32]]  # an RGB image of any size as [3, S, S] from 0 to 255
FLUSH_INTERVAL = 60.0  # seconds after which what is there is written, so that a killed process loses no more


@dataclass(frozen=True)
class Extraction:
    """How features are made: the extractor, the preparation of images for it, and `key`, which names both (weights,
    layer, preparation, engine): features kept under one key are shared by whatever uses them."""

    extractor: FeatureExtractor
    prepare: Prepare
    key: Mapping[str, Any]


def extract(splits: Iterable[Split], extraction: Extraction, progress: Progress) -> tuple[Features, list[Skipped]]:
    """Features of all images of these splits, in order, and the images that cannot be read, which are left out.

    Features that an earlier run kept are used again, while name, size and time of change of their files are the same.
    Raises NonFiniteOutputError, and DiskError where the cache cannot be written.
    """
    found, skipped = [], []
    for split in splits:
        features, errors = _extract_split(split, extraction, progress)
        found.append(features)
        skipped += errors
    total = found[0]
    for features in found[1:]:
        total += features
    return total, skipped


def with_features(split: Split, skipped: Iterable[Skipped]) -> NDArray[np.int64]:
    """The positions of a split's images that have features: all but the `skipped` ones, in order."""
    missing = {one["file"] for one in skipped}
    return np.array([index for index in range(len(split)) if split.file(index) not in missing], np.int64)


def _extract_split(split: Split, extraction: Extraction, progress: Progress) -> tuple[Features, list[Skipped]]:
    # Not everything is a path: a data set has a name, shards have a URL.
    where = str(Path(split.where).absolute()) if os.path.exists(split.where) else split.where
    about = {**extraction.key, "images": where, "decoders": DECODERS}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    store = FeatureStore(cache_folder() / "features" / name, extraction.extractor.dim, about)
    digests = digests_of(split.files)
    positions = store.positions(digests)
    left = np.flatnonzero(positions[:, 0] < 0).tolist()
    errors: dict[int, str] = {}

    def work(indices: list[int]) -> tuple[list[int], NDArray[Any]]:
        seen = time.time_ns()
        read = [_read(split, index) for index in indices]
        good = [(index, each) for index, each in zip(indices, read, strict=True) if isinstance(each, Decoded)]
        errors.update({i: each.reason for i, each in zip(indices, read, strict=True) if isinstance(each, ImageError)})
        changed = split.files.changed[[index for index, _ in good]]
        rows = _rows(extraction, [each for _, each in good])
        known = mtime_is_reliable(changed, seen) | (changed == UNKNOWN)
        rows["digest"] = np.where(known, digests[[index for index, _ in good]], UNKNOWN_DIGEST)
        return [index for index, _ in good], rows

    batches = map_batches(extraction.extractor, work, left, extraction.extractor.batch_size)
    what = f"features of {split.where}"
    with _flushing(store) as append:
        done = len(split) - len(left)
        for indices, rows in progress.track(batches, len(split), what, done=done, size=lambda each: len(each[0])):
            positions[indices] = np.array(append(rows), np.int64).reshape(-1, 2)
    kept = positions[positions[:, 0] >= 0]
    return Features(store.files, kept), [Skipped(file=split.file(i), error=why) for i, why in sorted(errors.items())]


def _read(split: Split, index: int) -> Decoded | ImageError:
    try:
        return split.decoded(index, decode)
    except ImageError as error:
        return error


def extract_in_memory(images: Iterable[Decoded], extraction: Extraction, folder: Path) -> Features:
    """Features of images that no file names, in order; `folder` holds them meanwhile. Raises NonFiniteOutputError."""
    store = FeatureStore(folder, extraction.extractor.dim, extraction.key)
    places: list[tuple[int, int]] = []
    batches = map_batches(extraction.extractor, partial(_rows, extraction), images, extraction.extractor.batch_size)
    with _flushing(store) as append:
        for rows in batches:
            places += append(rows)
    return Features(store.files, np.array(places, np.int64).reshape(-1, 2))


@contextmanager
def _flushing(store: FeatureStore) -> Iterator[Callable[[NDArray[Any]], list[tuple[int, int]]]]:
    """`store.append`, with what was added on disk from time to time, and at the end, also after Ctrl-C."""
    last = time.monotonic()

    def append(rows: NDArray[Any]) -> list[tuple[int, int]]:
        nonlocal last
        places = store.append(rows)
        if time.monotonic() - last > FLUSH_INTERVAL:
            store.flush()
            last = time.monotonic()
        return places

    try:
        yield append
    finally:
        store.flush()


def _rows(extraction: Extraction, images: list[Decoded]) -> NDArray[Any]:
    """The rows of images, without their digests. Raises NonFiniteOutputError."""
    rows = np.zeros(len(images), row_type(extraction.extractor.dim))
    if not images:
        return rows
    arrays = [each.array for each in images]
    rows["features"] = extraction.extractor.run(np.stack([extraction.prepare(array) for array in arrays]))
    if not np.isfinite(rows["features"]).all():
        raise NonFiniteOutputError(
            "Cannot use the network: its features are not finite, as its weights are damaged. Try another copy of them."
        )
    rows["height"], rows["width"] = np.array([array.shape[:2] for array in arrays]).T
    headers = [each.header for each in images]
    rows["format"] = [b"" if header is None else header.format.encode() for header in headers]
    rows["flags"] = [
        0
        if header is None
        else TURNED * (header.orientation != 1) + DEEP * (header.bits == 16) + TRANSPARENT * header.transparent
        for header in headers
    ]
    return rows
