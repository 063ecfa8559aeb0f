"""Pillow's own test images, read as Pillow reads them.

FOLDER is Tests/images in a source distribution of Pillow. Each file is read by Pillow in plain words and by us. Where
the two differ, the reason is listed, and a difference without a reason is a fault.
"""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.common import Record, command
from inceptorch.errors import ImageError
from inceptorch.images.decode import FORMATS, decode
from inceptorch.images.limits import MAX_PIXELS

Pixels = NDArray[np.uint8]


def run(folder: str) -> Record:
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    counts: Counter[str] = Counter()
    differences = []
    for path in files:
        pillows, about = by_pillow(path)
        ours = by_us(path)
        if isinstance(pillows, str) and isinstance(ours, str):
            counts["refused by both"] += 1
        elif not isinstance(pillows, str) and not isinstance(ours, str) and np.array_equal(pillows, ours):
            counts["same pixels"] += 1
        else:
            counts["different"] += 1
            differences.append(
                {
                    "file": path.relative_to(folder).as_posix(),
                    "pillow": shown(pillows),
                    "ours": shown(ours),
                    "reason": about,
                }
            )
    return {"n": {"files": len(files)}, "counts": counts, "differences": differences}


def by_pillow(path: Path) -> tuple[Pixels | str, str]:
    """The pixels, or Pillow's error, and why we read such a file in another way."""
    about = ""
    try:
        with Image.open(path) as opened:
            about = reason(opened)
            opened.load()
            transparent = opened.has_transparency_data
            image: Image.Image = opened
            with suppress(Exception):  # of broken EXIF
                image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(("I", "F")):
                gray = (np.asarray(image).astype(np.float64) // 256).clip(0, 255).astype(np.uint8)
                if transparent:
                    gray[np.asarray(image) == image.info["transparency"]] = 255
                return np.repeat(gray[..., None], 3, 2), about
            if transparent:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB")), about
    except Exception as error:
        return f"{type(error).__name__}: {error}", about


def reason(image: Image.Image) -> str:
    """Why an image that Pillow opens is read in another way here; "" if there is no reason."""
    tags = getattr(image, "tag_v2", {})
    if (image.format or "") not in (*FORMATS, "MPO"):
        return "a format that is not read"
    if image.mode == "F":
        return "floating point pixels"
    if image.mode == "I" and image.format == "TIFF":
        return "integers without an agreed range"
    if image.width * image.height > MAX_PIXELS:
        return "too many pixels"
    if image.mode == "I;16" and tags.get(258) == (12,):
        return "12 bits, which Pillow leaves in the lower part of 16"
    if image.mode == "I;16" and tags.get(262) == 0:
        return "white is zero, which Pillow leaves at 16 bits"
    return ""


def by_us(path: Path) -> Pixels | str:
    try:
        return decode(path).array
    except ImageError as error:
        return error.reason


def shown(result: Pixels | str) -> str:
    return result if isinstance(result, str) else f"{result.shape[1]}x{result.shape[0]} pixels"


def render(record: Record) -> str:
    counts, differences = record["counts"], record["differences"]
    reasons = Counter(each["reason"] or "none" for each in differences)
    rows = [f"| {reason} | {count} |" for reason, count in reasons.most_common()]
    lines = [
        "## Pillow's test images",
        "",
        f"`{command(record)}`",
        "",
        f"Of {record['n']['files']} files {counts['same pixels']} have the same pixels as with Pillow, "
        f"{counts['refused by both']} are refused by both, and {len(differences)} are read differently:",
        "",
        "| reason | files |",
        "| --- | --- |",
        *rows,
    ]
    return "\n".join(lines)
