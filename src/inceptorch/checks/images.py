"""Faults of a single file: its name, its content, its size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.findings import Finding
from inceptorch.checks.scan import FORMATS, DatasetScan
from inceptorch.data import BoxSplit, Split
from inceptorch.data.sources.base import Tree, is_image
from inceptorch.errors import ImageError
from inceptorch.images.decode import SUFFIXES, read_header
from inceptorch.utils.progress import Progress

MIN_SIZE = 32  # pixels of the shorter side; the smallest input of our networks is 28
MAX_MEGAPIXELS = 30.0  # which take a fifth of a second to decode
MIN_SPREAD = 2.0  # standard deviation of the brightness, of 255 levels; a camera's dark frame has less, fog has more
UNIFORM = 0.05  # below which all pixels are alike
MAX_BYTES = 64_000_000  # of a file without an image's name whose content is examined

SUFFIXES_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "MPO": (".mpo", ".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k"),
    "HEIF": (".heic", ".heif", ".hif"),
}


def image_findings(scan: DatasetScan, min_size: int, max_megapixels: float) -> Iterator[Finding]:
    """Images that are unreadable, or whose name, size or content is suspicious."""
    for index, fault in scan.faults.items():
        yield Finding(fault.kind, (scan.file(index),), fault.reason, (index,))
    records = scan.records
    names = chain.from_iterable(split.paths for split in scan.splits.values())
    for index, (name, format) in enumerate(zip(names, records["format"].tolist(), strict=True)):
        suffix, expected = os.path.splitext(name)[1].lower(), SUFFIXES_OF[FORMATS[format]]
        if scan.readable[index] and suffix in SUFFIXES and suffix not in expected:
            note = f"is a {FORMATS[format]} file; call it {expected[0]}"
            yield Finding("misnamed", (scan.file(index),), note, (index,))
    # A small object hardly changes the spread; where one is marked, only an image of a single color shows nothing.
    marked = [any_boxes(split) for split in scan.splits.values()]
    least = np.where(np.concatenate(marked), UNIFORM, MIN_SPREAD)
    width, height = records["width"].astype(np.int64), records["height"].astype(np.int64)
    for kind, mask, note in (
        ("tiny", np.minimum(width, height) < min_size, "has {width}x{height} pixels"),
        ("large", width * height > max_megapixels * 1e6, "has {width}x{height} pixels"),
        ("blank", records["spread"] < least, "varies by {spread:.1f} of 255 levels"),
        ("rotated", records["orientation"] > 1, "has EXIF orientation {orientation}"),
    ):
        for index in np.flatnonzero(mask & scan.readable).tolist():
            values = {name: records[name][index] for name in ("width", "height", "spread", "orientation")}
            yield Finding(kind, (scan.file(index),), note.format(**values), (index,))


def any_boxes(split: Split) -> NDArray[np.bool_]:
    """Whether each image has boxes, [N]."""
    if not isinstance(split, BoxSplit):
        return np.zeros(len(split), np.bool_)
    return np.array([len(boxes) > 0 for boxes in split.boxes], np.bool_)


def other_file_findings(splits: Mapping[str, Split], progress: Progress) -> Iterator[Finding]:
    """Files of DATA that no split uses: images, shards and other files."""
    for split in splits.values():
        source, within = split.source, split.within
        if within is None or not isinstance(source, Tree):
            for name in split.unused:
                yield Finding("ignored", (source.label(name),), "names neither train, val nor test")
            continue
        others = source.files_of(split.unused)
        sizes = zip(others.names, others.sizes.tolist(), strict=True)
        for name, size in progress.track(sizes, len(others), "looking at other files"):
            format = None
            if size <= MAX_BYTES:
                with suppress(ImageError):
                    format = read_header(source.read(name)).format
            if format is not None:
                why = "it is in no class folder" if is_image(name) else "it has no image suffix"
                yield Finding("ignored", (source.label(name),), f"is a {format} file, but {why}")
            elif "/" in name.removeprefix(f"{within}/"):
                yield Finding("no-image", (source.label(name),), "is not used")
