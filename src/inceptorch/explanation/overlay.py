"""Maps over images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from inceptorch.explanation.grid import Map
from inceptorch.images.preprocessing import ImageArray
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import INK, shortened, unicode_fonts

if TYPE_CHECKING:
    from inceptorch.explanation.explain import Explanation

COLORMAP = "inferno"  # perceptually uniform, in print without color and to the color-blind too
OPACITY = (0.45, 0.75)  # at the map's minimum and maximum
MIN_SIZE = 336  # pixels of a crop in a drawing
MAX_LABEL = 60  # letters


def overlay(crop: ImageArray, map: Map) -> Image.Image:
    """A uint8 crop [S, S, 3] in gray under its map [h, w] in color: RGB, S x S.

    The colors go from 0 to the map's maximum; evidence against the class (below 0) looks as 0 does.
    """
    from matplotlib import colormaps

    size = crop.shape[0]
    resized = Image.fromarray(np.maximum(map, 0)).resize((size, size), Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(resized, np.float64) / (max(float(map.max()), 0.0) or 1.0), 0, 1)
    colors = colormaps[COLORMAP](strength)[..., :3] * 255
    gray = np.asarray(Image.fromarray(crop).convert("L"), np.float64)[..., None]
    opacity = (OPACITY[0] + (OPACITY[1] - OPACITY[0]) * strength)[..., None]
    return Image.fromarray(np.rint((1 - opacity) * gray + opacity * colors).astype(np.uint8))


@unicode_fonts()
def draw(explanation: Explanation, out: str | Path) -> None:
    """Write a PNG: the crop that the network saw, and the crop under the map."""
    from matplotlib.figure import Figure

    times = -(-MIN_SIZE // explanation.crop.shape[0])
    crop = explanation.crop.repeat(times, axis=0).repeat(times, axis=1)
    figure = Figure(figsize=(7.2, 4.1), layout="constrained")
    label = f"{shortened(explanation.label, MAX_LABEL)}  {explanation.probability:.1%}"
    figure.suptitle(label, x=0.01, ha="left", color=INK, parse_math=False)
    for axes, image in zip(figure.subplots(1, 2), (crop, overlay(crop, explanation.map)), strict=True):
        axes.imshow(image)
        axes.axis("off")
    where = f"layer {explanation.layer}" if explanation.layer else "pixels"
    height, width = explanation.map.shape
    maximum = explanation.map.max()
    evidence = f"maximum {maximum:.3g}" if maximum > 0 else "no evidence for this class"
    caption = f"{explanation.method}, {where}, {height}x{width}; {evidence}"
    figure.supxlabel(caption, x=0.01, ha="left", color=INK, fontsize=9, parse_math=False)
    atomic_write(Path(out), lambda path: figure.savefig(path, format="png", dpi=120))
