"""Dreams by numbers: the layer's answer grows in every octave, the photograph stays, little is clipped.

    python -m bench dreams [PHOTOS [SIZE [STEPS]]]

Of PHOTOS photographs (40 by default) at SIZE pixels (384), each with STEPS (10) in every octave: energy at the last
step over that at the first, the correlation of the means of 16x16 pixels with the photograph's, and values of 0 or 255
that the photograph did not have. One dream is made again from its PNG.
"""

import csv
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import inceptorch
from bench.common import SHARED, Record, bvlc, command, need
from inceptorch.utils.progress import Progress
from inceptorch.visualization.dream import dream
from inceptorch.visualization.write_dream import write_dream

CELL = 16
GUIDE = "d47c9aabecda0e12.png"  # a daisy
CASES = ("4c", "4c, channel 100", "3b, guided")
Pixels = NDArray[np.uint8]


def run(photos: str = "40", size: str = "384", steps: str = "10") -> Record:
    with open(need(SHARED / "photos" / "labels.csv"), newline="") as file:
        files = [SHARED / "photos" / row["file"] for row in csv.DictReader(file)][: int(photos)]
    values: Record = {"size": int(size), "steps": int(steps)}
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        classifier = inceptorch.load(bundle)
        rows = []
        for case in CASES:
            channels = (100,) if "channel" in case else ()
            guide = SHARED / "photos" / GUIDE if "guided" in case else None
            made = [dream(photo, model=classifier, guide=guide, channels=channels, **values) for photo in files]
            growth = [octave.energy[-1] / max(octave.energy[0], 1e-9) for each in made for octave in each.octaves[0]]
            kept = [_compared(photo, each.image) for photo, each in zip(files, made, strict=True)]
            rows.append(
                {
                    "what": case,
                    "octaves": len(growth),
                    "grown": sum(ratio > 1 for ratio in growth),
                    "growth": median(growth),
                    "correlation": median(correlation for correlation, _ in kept),
                    "least_correlation": min(correlation for correlation, _ in kept),
                    "clipped": median(clipped for _, clipped in kept),
                    "most_clipped": max(clipped for _, clipped in kept),
                }
            )
        first, again = Path(folder) / "first.png", Path(folder) / "again.png"
        write_dream(first, files[0], values, model=str(bundle), progress=Progress(quiet=True))
        write_dream(again, None, {}, repeat=first, progress=Progress(quiet=True))
        same = first.read_bytes() == again.read_bytes()
    return {"n": {"photographs": len(files), "steps": int(steps)}, "size": int(size), "rows": rows, "same_bytes": same}


def _compared(photo: Path, dreamed: Pixels) -> tuple[float, float]:
    """The correlation of the means of cells, and the share of values that are 0 or 255 only in the dream."""
    height, width = dreamed.shape[:2]
    with Image.open(photo) as image:
        before = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))

    def coarse(pixels: Pixels) -> NDArray[np.float64]:
        lines, columns = height // CELL, width // CELL
        cut = pixels[: lines * CELL, : columns * CELL].astype(float)
        means: NDArray[np.float64] = cut.reshape(lines, CELL, columns, CELL, 3).mean((1, 3))
        return means.ravel()

    at_the_ends = np.isin(dreamed, (0, 255)) & ~np.isin(before, (0, 255))
    return float(np.corrcoef(coarse(dreamed), coarse(before))[0, 1]), float(at_the_ends.mean())


def render(record: Record) -> str:
    n = record["n"]
    parts = [f"## Dreams by numbers\n\n`{command(record)}`\n"]
    parts.append(
        f"{n['photographs']} photographs at {record['size']} pixels, BVLC's GoogLeNet, {n['steps']} steps an octave.\n"
    )
    parts.append(
        "| layer | octaves in which its energy grew | times as large, median | correlation of 16x16 means: median, "
        "least | values clipped: median, most |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for row in record["rows"]:
        parts.append(
            f"| {row['what']} | {row['grown']} of {row['octaves']} | {row['growth']:.2f} | {row['correlation']:.3f}, "
            f"{row['least_correlation']:.3f} | {row['clipped']:.2%}, {row['most_clipped']:.2%} |"
        )
    same = "the same bytes" if record["same_bytes"] else "OTHER BYTES"
    parts.append(f"\nMade again from its PNG, a dream had {same}.")
    return "\n".join(parts)
