"""Style transfer with BVLC's weights: does it take the style, and keep the content?

Pairs of photographs, whose textures are the styles. Distances are the losses of arXiv:1508.06576, which square
differences (ours does not), for the finished images:

- style: of Gram matrices at 4d, which is not optimized, over that of the content image
- content: of maps at 3b, over the mean of that between two of the contents
- grid: energy at the highest frequency, which a layer of stride 2 can draw, over that of the frequencies beside it
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import inceptorch
from bench.common import ROOT, SHARED, Record, bvlc, command, need
from inceptorch.utils.progress import Progress
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.objectives import gram
from inceptorch.visualization.style import resized, style

CONTENTS = {"town hall": 5, "elephants": 71, "dogs": 81, "pavilion": 183}
STYLES = {"graffiti": 70, "lava": 91, "ribbons": 62, "drawing": 119}
STYLE, CONTENT = "4d", "3b"
PLAIN = ROOT / "bench" / "inference" / "style_time_plain.py"
BARS = {"style": 0.2, "content": 0.5, "grid": 2.0, "clipped": 0.01}  # at most


def run(size: str = "512", steps: str = "150", pairs: str = "16") -> Record:
    values: Record = {"size": int(size), "steps": int(steps)}
    photos = sorted(need(SHARED / "photos").glob("*.png"))
    files = {name: photos[number] for name, number in (CONTENTS | STYLES).items()}
    chosen = [(content, example) for content in CONTENTS for example in STYLES][: int(pairs)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        classifier = inceptorch.load(bundle)
        maps = Maps(classifier, [STYLE, CONTENT])
        scale = unrelated(maps, [pixels(files[name], values["size"]) for name in CONTENTS])

        def row(content: str, example: str, image: NDArray[np.uint8], what: str = "") -> Record:
            shown = measured(maps, image, *(pixels(files[name], values["size"]) for name in (content, example)))
            return {"what": f"{content} as {example}{what}", **shown, "content": shown["content"] / scale}

        for content, example in chosen:
            made = style(files[content], files[example], model=classifier, progress=Progress(), **values)
            rows.append(row(content, example, made.image))
        again = style(files[content], files[example], model=classifier, **values).image
        content, example = chosen[0]
        words: list[str | Path] = [PLAIN, bundle, files[content], files[example], size, steps, f"{folder}/plain.png"]
        subprocess.run([sys.executable, *words], check=True)
        plain = row(content, example, np.asarray(Image.open(f"{folder}/plain.png")), ", plain page in pixels")
    same = bool(np.array_equal(again, made.image))
    n = {"pairs": len(rows)}
    return {"n": n, **values, "same_again": same, "rows": [*rows, plain]}


def pixels(file: Path, size: int) -> Tensor:
    """A file's image [1, 3, H, W] from 0 to 1, with that long side."""
    return tensor(np.asarray(resized(Image.open(file).convert("RGB"), size)))


def unrelated(maps: Maps, images: list[Tensor]) -> float:
    """The mean distance between the contents of two images."""
    with torch.no_grad():
        found = [maps(image)[CONTENT] for image in images]
    return mean(float((a - b).square().mean()) for a, b in combinations(found, 2))


def measured(maps: Maps, image: NDArray[np.uint8], content: Tensor, example: Tensor) -> dict[str, float]:
    """The style's distance over the content's, the content's in units of the layer, the grid, and clipped values."""
    with torch.no_grad():
        made, before, wanted = maps(tensor(image)), maps(content), maps(example)
    target = gram(wanted[STYLE])
    return {
        "style": float((gram(made[STYLE]) - target).square().sum() / (gram(before[STYLE]) - target).square().sum()),
        "content": float((made[CONTENT] - before[CONTENT]).square().mean()),
        "grid": grid(image),
        "clipped": float(((image == 0) | (image == 255)).mean()),
    }


def grid(image: NDArray[np.uint8]) -> float:
    """The energy at the highest frequency of lines or columns over the mean energy of the four below it."""
    height, width = (length - length % 2 for length in image.shape[:2])
    energy = np.abs(np.fft.fft2(image[:height, :width].mean(2))) ** 2
    ratios = []
    for rows in (energy.sum(1), energy.sum(0)):
        top = len(rows) // 2
        ratios.append(rows[top] / rows[top - 5 : top - 1].mean())
    return float(max(ratios))


def tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255


def render(record: Record) -> str:
    *rows, plain = record["rows"]
    lines = [
        f"`{command(record)}`\n",
        "| content and style | distance to the style at 4d | distance to the content at 3b | grid | clipped values |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    medians = {"what": "median without the plain page"} | {name: median(row[name] for row in rows) for name in BARS}
    lines += [
        f"| {row['what']} | {row['style']:.0%} | {row['content']:.0%} | {row['grid']:.2f} | {row['clipped']:.2%} |"
        for row in [*rows, plain, medians]
    ]
    within = sum(all(row[name] <= bar for name, bar in BARS.items()) for row in rows)
    bars = "20 % of the style's distance, 50 % of the content's, a grid of 2 and 1 % of clipped values"
    again = "the same" if record["same_again"] else "other"
    lines.append(f"\n{within} of {len(rows)} pairs are within all of {bars}.")
    lines.append(f"A second time, one seed gave {again} pixels.")
    return "\n".join(lines)
