"""Occlusion: Zeiler and Fergus, arXiv:1311.2901, section 4.2, by captum."""

from __future__ import annotations

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map, area_mean
from inceptorch.explanation.split_model import activations, eval_with_gradients, split_at
from inceptorch.images.preprocessing import ImageArray

MAX_CELLS = 16  # per side of the map; a window covers 2x2 of them
BATCH_SIZE = 8


def occlusion(classifier: Classifier, crop: ImageArray, index: int, layer: str | None = None) -> Map:
    """How much the logit of class `index` falls when a location of a uint8 crop [S, S, 3] is covered: float32 [h, w].

    A window of the preprocessing's mean color moves over the crop by half its width. The value of a location is the
    mean over the windows that covered it. With a layer, the window covers the layer's map with its map of the mean
    color.
    """
    from captum.attr import Occlusion

    model, after = classifier.model, split_at(classifier.model, layer)
    with eval_with_gradients(model), torch.no_grad():
        x = classifier.prepare([crop])
        maps, cover = activations(model, layer, x), activations(model, layer, torch.zeros_like(x))  # normalized mean
        channels, height, width = maps.shape[1:]
        steps = [-(-size // MAX_CELLS) for size in (height, width)]
        fall = Occlusion(after).attribute(
            maps,
            sliding_window_shapes=(channels, min(2 * steps[0], height), min(2 * steps[1], width)),
            strides=(channels, *steps),
            baselines=cover,
            target=index,
            perturbations_per_eval=BATCH_SIZE,
        )
    return area_mean(fall[0, 0].cpu().numpy(), MAX_CELLS)
