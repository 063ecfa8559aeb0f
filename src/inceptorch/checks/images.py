"""What one file by itself tells: from what it is called, what it holds, and whether it can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np

from inceptorch.checks.findings import Finding
from inceptorch.checks.scan import FORMATS, Survey
from inceptorch.data import Split
from inceptorch.data.sources.folders import Tree, is_image
from inceptorch.errors import ImageError
from inceptorch.images.decode import SUFFIXES, read_header
from inceptorch.utils.progress import Progress

TINY = 32  # pixels of the shorter side: the smallest squares that our networks are made for have 28
LARGE = 30.0  # million pixels, which take a fifth of a second to decode
BLANK = 2.0  # standard deviation of the brightness, of 255 levels; a dark frame of a camera has less, fog has more
BIGGEST = 64_000_000  # bytes of a file whose name is no image's and that is looked into nevertheless

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
}


def of_images(survey: Survey, tiny: int, large: float) -> Iterator[Finding]:
    """Images that cannot be read, or whose kind, size or content is suspicious. A shorter side below `tiny` pixels is
    so, and more than `large` million pixels."""
    for number, fault in survey.faults.items():
        yield Finding(fault.kind, (survey.file(number),), fault.says, (number,))
    yield from _misnamed(survey)
    rows = survey.rows
    width, height = rows["width"].astype(np.int64), rows["height"].astype(np.int64)
    suspicious = {
        "tiny": np.minimum(width, height) < tiny,
        "large": width * height > large * 1e6,
        "blank": rows["spread"] < BLANK,
        "rotated": rows["orientation"] > 1,
    }
    for kind, mask in suspicious.items():
        for number in np.flatnonzero(mask & survey.readable).tolist():
            row = rows[number]
            note = {
                "tiny": f"has {row['width']}x{row['height']} pixels",
                "large": f"has {row['width']}x{row['height']} pixels",
                "blank": f"varies by {row['spread']:.1f} of 255 levels",
                "rotated": f"has EXIF orientation {row['orientation']}",
            }[kind]
            yield Finding(kind, (survey.file(number),), note, (number,))


def _misnamed(survey: Survey) -> Iterator[Finding]:
    """Images whose suffix is that of another kind; without a known suffix, a name says nothing."""
    formats = survey.rows["format"].tolist()
    number = 0
    for split in survey.splits.values():
        for name in split.paths:
            suffix = os.path.splitext(name)[1].lower()
            found = FORMATS[formats[number]]
            if survey.readable[number] and suffix in SUFFIXES and suffix not in SUFFIXES_OF[found]:
                note = f"is a {found} file; call it {SUFFIXES_OF[found][0]}"
                yield Finding("misnamed", (survey.file(number),), note, (number,))
            number += 1


def of_other_files(splits: Mapping[str, Split], progress: Progress) -> Iterator[Finding]:
    """Files beside the images of class folders: images that are not used, and what is no image."""
    for split in splits.values():
        source, within = split.source, split.within
        if within is None or not isinstance(source, Tree):
            continue
        others = source.others(within)
        sizes = zip(others.names, others.sizes.tolist(), strict=True)
        for name, size in progress.track(sizes, len(others), "looking at other files"):
            in_a_class = "/" in name.removeprefix(f"{within}/")
            found = _format(source, name, size)
            if found is not None:
                why = "its name does not end like an image's" if not is_image(name) else "it is in no class folder"
                yield Finding("ignored", (source.label(name),), f"is a {found} file, but {why}")
            elif in_a_class:
                yield Finding("no-image", (source.label(name),), "is not used")


def _format(source: Tree, name: str, size: int) -> str | None:
    """The kind of image that a file is; None for one that is none, or cannot be read."""
    if size > BIGGEST:
        return None
    try:
        return read_header(source.read(name)).format
    except ImageError:
        return None
