"""Style transfer with BVLC's weights: does it take the style, and keep the content?

Pairs of photographs, whose textures are the styles. Distances are the losses of arXiv:1508.06576, which square
differences (ours does not), for the finished images:

- style: of Gram matrices at 4d, which is not optimized, over that of the content image
- content: of maps at 3b, over the mean of that between two of the contents
- grid: energy at the highest frequency, which a layer of stride 2 can draw, over that of the frequencies beside it
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from itertools import combinations
from statistics import mean, median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import inceptorch
from bench.common import SHARED, Record, bvlc, command, need
from inceptorch.utils.progress import Progress
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.objectives import gram
from inceptorch.visualization.style import StyleSettings, resized, style

CONTENTS = {"town hall": 5, "elephants": 71, "dogs": 81, "pavilion": 183}
STYLES = {"graffiti": 70, "lava": 91, "ribbons": 62, "drawing": 119}
STYLE, CONTENT = "4d", "3b"
BARS = {"style": 0.2, "content": 0.5, "grid": 2.0, "clipped": 0.01}


def run(size: str = "512", pairs: str = "16") -> Record:
    settings = StyleSettings(size=int(size))
    photos = sorted(need(SHARED / "photos").glob("*.png"))
    chosen = [(content, example) for content in CONTENTS for example in STYLES][: int(pairs)]
    with tempfile.TemporaryDirectory() as folder:
        classifier = inceptorch.load(bvlc(folder))
    maps = Maps(classifier, [STYLE, CONTENT])
    images = {name: Image.open(photos[number]).convert("RGB") for name, number in (CONTENTS | STYLES).items()}
    contents = {name: tensor(np.asarray(resized(images[name], settings.size))) for name in CONTENTS}
    with torch.no_grad():
        content_maps = {name: maps(x)[CONTENT] for name, x in contents.items()}
    unrelated = mean(float((content_maps[a] - content_maps[b]).square().mean()) for a, b in combinations(CONTENTS, 2))
    rows = []
    for content, example in chosen:
        made = style(images[content], images[example], settings, model=classifier, progress=Progress())
        row = measured(maps, made.image, contents[content], tensor(np.asarray(resized(images[example], settings.size))))
        row["content"] /= unrelated
        rows.append({"what": f"{content} as {example}", **row})
        print(rows[-1], file=sys.stderr)
    again = style(images[content], images[example], settings, model=classifier).image
    return {
        "n": {"pairs": len(rows)}, "settings": asdict(settings), "same_again": bool(np.array_equal(again, made.image)),
        "rows": rows,
    }  # fmt: skip


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
    lines = [
        f"`{command(record)}`\n",
        "| content and style | distance to the style at 4d | distance to the content at 3b | grid | clipped values |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    summary = {"what": "median"} | {name: median(row[name] for row in record["rows"]) for name in BARS}
    for row in [*record["rows"], summary]:
        lines.append(
            f"| {row['what']} | {row['style']:.0%} | {row['content']:.0%} | {row['grid']:.2f} | {row['clipped']:.2%} |"
        )
    again = "the same" if record["same_again"] else "other"
    lines.append(f"\nThe same settings and seed gave {again} pixels the second time.")
    return "\n".join(lines)
