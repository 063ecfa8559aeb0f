"""Maps over images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.explanation.grid import Map
from inceptorch.images.preprocessing import ImageArray
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import INK, shortened, unicode_fonts

if TYPE_CHECKING:
    from inceptorch.explanation.explain import Explanation

COLORS = "inferno"  # even steps of the map look even, in print without color and to the color-blind too
OPACITY = (0.45, 0.75)  # where the map is lowest, and where it is highest
SIDE = 336  # pixels of a square on a drawing, at least
LABEL = 60  # letters


def overlay(crop: ImageArray, map: Map) -> Image.Image:
    """A uint8 crop [S, S, 3] in gray under its map [h, w] in color: RGB, S x S.

    The colors go from 0 to the map's maximum; what speaks against the class (below 0) looks as 0 does.
    """
    from matplotlib import colormaps

    strength = _strength(map, crop.shape[0])
    colors = colormaps[COLORS](strength)[..., :3] * 255
    gray = np.asarray(Image.fromarray(crop).convert("L"), np.float64)[..., None]
    opacity = (OPACITY[0] + (OPACITY[1] - OPACITY[0]) * strength)[..., None]
    return Image.fromarray(np.rint((1 - opacity) * gray + opacity * colors).astype(np.uint8))


@unicode_fonts()
def draw(explanation: Explanation, out: str | Path) -> None:
    """Write a PNG: the square that the network saw, beside the same under the map."""
    from matplotlib.figure import Figure

    crop = _enlarged(explanation.crop)
    figure = Figure(figsize=(7.2, 4.1), layout="constrained")
    label = f"{shortened(explanation.label, LABEL)}  {explanation.probability:.1%}"
    figure.suptitle(label, x=0.01, ha="left", color=INK, parse_math=False)
    for axes, image in zip(figure.subplots(1, 2), (crop, overlay(crop, explanation.map)), strict=True):
        axes.imshow(image)
        axes.axis("off")
    figure.supxlabel(_caption(explanation), x=0.01, ha="left", color=INK, fontsize=9, parse_math=False)
    atomic_write(Path(out), lambda path: figure.savefig(path, format="png", dpi=120))


def _caption(explanation: Explanation) -> str:
    where = f"row {explanation.row}" if explanation.row else "pixels"
    height, width = explanation.map.shape
    highest = explanation.map.max()
    most = f"at most {highest:.3g}" if highest > 0 else "nothing speaks for this class"
    return f"{explanation.method}, {where}, {height}x{width}; {most}"


def _strength(map: Map, side: int) -> NDArray[np.float64]:
    """The map at the size of the square, from 0 to 1."""
    grown = Image.fromarray(np.maximum(map, 0)).resize((side, side), Image.Resampling.BICUBIC)
    highest = max(float(map.max()), 0.0)
    return np.clip(np.asarray(grown, np.float64) / (highest or 1.0), 0, 1)


def _enlarged(crop: ImageArray) -> ImageArray:
    """A small square in larger pixels."""
    times = -(-SIDE // crop.shape[0])
    return crop.repeat(times, axis=0).repeat(times, axis=1)
