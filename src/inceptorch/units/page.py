"""The page of `inceptorch units`: the layers as a table, their correlations, and images of units that fire together."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from inceptorch.errors import ImageError
from inceptorch.units.clusters import LEVELS
from inceptorch.units.measure import LayerUnits, MeasuredUnits
from inceptorch.units.statistics import DIMENSIONS, DISTANCES
from inceptorch.units.top_images import COUNT, TopImage
from inceptorch.utils.html import data_uri, render

MATRIX_SIZE = 420  # pixels of a correlation matrix, at most, and of a small one about
SHADES = 32
COLOR = (64, 132, 214)  # on white and on black
THUMBNAIL = 96  # pixels
SHOWN = 6  # images of a unit, but of the one that was named
PAIRS, FEW_PAIRS = 6, 2  # of units of a single layer, and of each of several
Strip = list[tuple[str, str | None]]  # the files and the images of a unit


def page(found: MeasuredUnits, model: str, data: str, against: str | None = None, unit: int | None = None) -> str:
    """A self-contained page. With `unit`, of a single layer, it begins with that unit's top images and nearest units.
    Images that can no longer be read are named alone."""
    pairs = PAIRS if len(found.layers) == 1 else FEW_PAIRS
    sections = [
        {"units": each, "matrix": _matrix(each), "pairs": [_pair(found, each, *pair) for pair in _alike(each, pairs)]}
        for each in found.layers
    ]
    similarities = [(f"of the layers of {model} to one another", "", "", found.within)]
    if found.against is not None:
        similarities.append((f"of the layers of {model} to those of {against}", model, against or "", found.against))
    return render(
        "units/templates/units.html",
        title=f"Units of {model}",
        network=found.classifier.config.architecture,
        data=data,
        found=found,
        distances=DISTANCES,
        levels=LEVELS,
        parts=DIMENSIONS,
        sections=sections,
        unit=None if unit is None else _unit(found, found.layers[0], unit),
        similarities=[
            each for each in similarities if each[3].values is not None and max(np.shape(each[3].values)) > 1
        ],
    )


def _unit(found: MeasuredUnits, layer: LayerUnits, unit: int) -> dict[str, Any]:
    nearest = [(f"{layer.layer}:{other}", value, _strip(found, layer, other)) for other, value in layer.nearest(unit)]
    active = float(layer.statistics.active[unit])
    return {
        "name": f"{layer.layer}:{unit}",
        "active": active,
        "strip": _strip(found, layer, unit, COUNT),
        "nearest": nearest,
    }


def _alike(layer: LayerUnits, count: int) -> list[tuple[int, int]]:
    """The pairs of units with the highest absolute correlation, every unit once."""
    strengths = np.triu(np.abs(layer.statistics.correlation), 1)
    found: list[tuple[int, int]] = []
    while len(found) < count and strengths.max(initial=0) > 0:
        one, two = (int(at) for at in np.unravel_index(int(strengths.argmax()), strengths.shape))
        found.append((one, two))
        for at in (one, two):
            strengths[at] = strengths[:, at] = 0
    return found


def _pair(found: MeasuredUnits, layer: LayerUnits, one: int, two: int) -> dict[str, Any]:
    rows = [(f"{layer.layer}:{unit}", _strip(found, layer, unit)) for unit in (one, two)]
    return {"correlation": float(layer.statistics.correlation[one, two]), "rows": rows}


def _strip(found: MeasuredUnits, layer: LayerUnits, unit: int, count: int = SHOWN) -> Strip:
    """The top images of a unit, cut to where it is most active."""
    return [(found.file(each.index), _thumbnail(found, layer, each)) for each in layer.top.of(unit)[:count]]


def _thumbnail(found: MeasuredUnits, layer: LayerUnits, image: TopImage) -> str | None:
    try:
        pixels = found.input(image.index)
    except ImageError:
        return None
    left, top, right, bottom = layer.top.box(image, *found.classifier.config.input_size)
    part = Image.fromarray(pixels[top:bottom, left:right])
    return data_uri(part.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC))


def _matrix(layer: LayerUnits) -> str | None:
    """The absolute correlations as an image, units of a cluster side by side: from transparent, 0, to opaque, 1, by
    the square root, as most are small. None where fewer than two units vary."""
    if layer.dendrogram is None or len(layer.varying) < 2:
        return None
    order = [layer.varying[at] for at in layer.dendrogram.order()]
    strengths = np.abs(layer.statistics.correlation[np.ix_(order, order)])
    shades = Image.fromarray((strengths * 255).astype(np.uint8))
    if len(order) > MATRIX_SIZE:
        shades = shades.resize((MATRIX_SIZE, MATRIX_SIZE), Image.Resampling.BOX)
    else:
        factor = MATRIX_SIZE // len(order)
        shades = shades.resize((factor * len(order), factor * len(order)), Image.Resampling.NEAREST)
    levels = np.round(np.sqrt(np.asarray(shades) / 255) * (SHADES - 1)).astype(np.uint8)
    drawn = Image.fromarray(levels).convert("P")
    drawn.putpalette(COLOR * SHADES)
    drawn.info["transparency"] = bytes(round(255 * shade / (SHADES - 1)) for shade in range(SHADES))
    return data_uri(drawn, "PNG")
