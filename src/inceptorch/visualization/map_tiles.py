"""The maps of one image as tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch.classifier import Classifier
from inceptorch.errors import NonFiniteOutputError, TableError
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import load_image
from inceptorch.inference.inputs import to_input
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.objectives import Unit
from inceptorch.visualization.pixels import to_tensor
from inceptorch.visualization.sheet import Panel, Part, draw_sheet

MAX_TILES = 35  # channels, unless they are named; with the image six lines of six
COLORMAP = "viridis"  # perceptually uniform
TILE = 160  # pixels


def draw_maps(
    classifier: Classifier, image: ImageInput, layer: str, channels: Sequence[int] | None = None
) -> tuple[NDArray[np.uint8], list[dict[str, float]]]:
    """What the network sees of an image, and the maps of a layer's channels, those with the highest value first: uint8
    [H, W, 3], and each channel with its highest value. By default the 35 highest. Each map is scaled by its own values.

    Raises TableError for an unknown layer or channel and for a layer without a map, and ImageError.
    """
    maps = Maps(classifier, [layer])
    crop = to_input(load_image(image), classifier.config)
    pixels = to_tensor(crop[None], maps.device)
    with torch.no_grad():
        found = maps(pixels)[layer][0].cpu()
    if found.ndim != 3:
        raise TableError(f"Cannot show layer {layer}: it has no map. Try a layer before it.")
    if not bool(torch.isfinite(found).all()):
        raise NonFiniteOutputError
    for channel in channels or ():
        Unit(layer, channel).check({layer: tuple(found.shape)})
    highest = found.flatten(1).amax(1)
    order = sorted(range(len(found)) if channels is None else channels, key=lambda each: -float(highest[each]))
    order = order[:MAX_TILES] if channels is None else order
    panels: list[Panel] = [[Part("image", [crop])]]
    panels += [[Part(f"{each}: up to {float(highest[each]):.3g}", [_colored(found[each].numpy())])] for each in order]
    return draw_sheet(panels, TILE), [{"channel": each, "highest": float(highest[each])} for each in order]


def _colored(map: NDArray[np.float32]) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    low, high = float(map.min()), float(map.max())
    scaled = (map - low) / ((high - low) or 1.0)
    colored: NDArray[np.uint8] = colormaps[COLORMAP](scaled, bytes=True)[..., :3]
    return colored
