"""Integrated gradients: Sundararajan et al., arXiv:1703.01365, by captum."""

from __future__ import annotations

from typing import NamedTuple

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map, summed
from inceptorch.explanation.split_model import cut, gradients, maps_of
from inceptorch.images.preprocessing import ImageArray

CELLS = 14  # a side of the map, at most: single pixels are noise to the eye
STEPS = (32, 64, 128, 256)  # along the path; more are taken until the sum is as near as this to what it should be:
TOLERANCE = 0.05  # of the difference in logits, or of 1 where that is smaller
BATCH = 8  # steps that go through the network together


class Integrated(NamedTuple):
    """A map float32 [h, w], and the difference in logits that it should sum to."""

    map: Map
    difference: float


def integrated_gradients(classifier: Classifier, crop: ImageArray, index: int, row: str | None = None) -> Integrated:
    """How much every place of a uint8 crop [S, S, 3] adds to the logit of class `index`, compared with an image that is
    all of the mean color of the preprocessing.

    The gradient of the logit is averaged along the straight path from that image to this one and multiplied by what
    changes; channels are summed, and pixels to at most 14x14 cells. With a row, the path goes between what that row makes
    of the two images. Raises TableError for a row that the body does not have.
    """
    from captum.attr import IntegratedGradients

    before, behind = cut(classifier.model, row)
    with gradients(classifier.model):
        with torch.no_grad():
            x = classifier.prepare([crop])
            end, start = maps_of(before, x), maps_of(before, torch.zeros_like(x))  # 0 is the mean, once scaled
            difference = float((behind(end) - behind(start))[0, index])
        for steps in STEPS:
            added = IntegratedGradients(behind).attribute(
                end, start, target=index, n_steps=steps, internal_batch_size=BATCH
            )
            found = summed(added[0].sum(0).cpu().numpy(), CELLS)
            if near(float(found.sum()), difference):
                break
    return Integrated(found, difference)


def near(total: float, difference: float) -> bool:
    """Whether a map's sum is as near to the difference in logits as it should be."""
    return abs(total - difference) <= TOLERANCE * max(abs(difference), 1.0)
