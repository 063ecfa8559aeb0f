"""Occlusion: Zeiler and Fergus, arXiv:1311.2901, section 4.2, by captum."""

from __future__ import annotations

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map, averaged
from inceptorch.explanation.split_model import cut, gradients, maps_of
from inceptorch.images.preprocessing import ImageArray

CELLS = 16  # a side of the map, at most; a window covers 2x2 of them
BATCH = 8  # windows that go through the network together


def occlusion(classifier: Classifier, crop: ImageArray, index: int, row: str | None = None) -> Map:
    """How much the logit of class `index` falls when a place of a uint8 crop [S, S, 3] is covered: float32 [h, w].

    A window with the mean color of the preprocessing moves over the square by half its width; a place has the average
    of the windows that covered it. With a row, what is covered is that row's map, by what the row makes of the mean
    color.
    """
    from captum.attr import Occlusion

    before, behind = cut(classifier.model, row)
    with gradients(classifier.model), torch.no_grad():
        x = classifier.prepare([crop])
        seen, cover = maps_of(before, x), maps_of(before, torch.zeros_like(x))  # 0 is the mean, once scaled
        channels, height, width = seen.shape[1:]
        steps = [-(-side // CELLS) for side in (height, width)]
        window = [min(2 * step, side) for step, side in zip(steps, (height, width), strict=True)]
        fall = Occlusion(behind).attribute(
            seen,
            sliding_window_shapes=(channels, *window),
            strides=(channels, *steps),
            baselines=cover,
            target=index,
            perturbations_per_eval=BATCH,
        )
    return averaged(fall[0, 0].cpu().numpy(), CELLS)
