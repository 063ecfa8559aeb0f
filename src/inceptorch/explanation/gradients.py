"""Integrated gradients: Sundararajan et al., arXiv:1703.01365, by captum."""

from __future__ import annotations

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map, area_sum
from inceptorch.explanation.split_model import activations, eval_with_gradients, split_at
from inceptorch.images.preprocessing import ImageArray

MAX_CELLS = 14  # per side of the map: single pixels are noise to the eye
STEPS = (32, 64, 128, 256)  # along the path; the next number is tried until the sum is within the tolerance
TOLERANCE = 0.05  # of the difference in logits, or of 1 where that is smaller
BATCH_SIZE = 8


def integrated_gradients(
    classifier: Classifier, crop: ImageArray, index: int, layer: str | None = None
) -> tuple[Map, float]:
    """How much each location of a uint8 crop [S, S, 3] adds to the logit of a class, compared with an image of the
    preprocessing's mean color; and the difference in logits that the map should sum to.

    The gradient of the logit is averaged along the straight path from that image to this one and multiplied by the
    change. Channels are summed, and pixels to at most 14x14 cells. With a layer, the path connects the layer's maps of
    the two images. Raises TableError for a layer that the body does not have.
    """
    from captum.attr import IntegratedGradients

    model, after = classifier.model, split_at(classifier.model, layer)
    with eval_with_gradients(model):
        with torch.no_grad():
            x = classifier.prepare([crop])
            end, start = activations(model, layer, x), activations(model, layer, torch.zeros_like(x))  # normalized mean
            difference = float((after(end) - after(start))[0, index])
        for steps in STEPS:
            attributed = IntegratedGradients(after).attribute(
                end, start, target=index, n_steps=steps, internal_batch_size=BATCH_SIZE
            )
            summed = area_sum(attributed[0].sum(0).cpu().numpy(), MAX_CELLS)
            if is_complete(summed, difference):
                break
    return summed, difference


def is_complete(map: Map, difference: float) -> bool:
    """Whether a map sums to the difference in logits, within the tolerance."""
    return abs(float(map.sum()) - difference) <= TOLERANCE * max(abs(difference), 1.0)
