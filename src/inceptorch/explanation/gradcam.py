"""Grad-CAM: Selvaraju et al., arXiv:1610.02391."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map
from inceptorch.explanation.split_model import cut, default_row, gradients, maps_of
from inceptorch.images.preprocessing import ImageArray


def gradcam(classifier: Classifier, crops: Sequence[ImageArray], classes: Sequence[int], row: str | None = None) -> Map:
    """Where one batch of uint8 crops [S, S, 3] speaks for a class each: float32 [N, h, w], not below 0 and not scaled,
    from one walk forward and one back to `row` of the body (`default_row` by default).

    A channel of the row weighs as much as the gradient of the class's logit with respect to it, averaged over its map
    (equation 1); the map is the weighted sum of the channels, where it is positive (equation 2). Raises TableError for a
    row that the body does not have.
    """
    model = classifier.model
    row = default_row(model.net, crops[0].shape[0]) if row is None else row
    before, behind = cut(model, row)
    with gradients(model):
        with torch.no_grad():
            maps = maps_of(before, classifier.prepare(crops))
        maps.requires_grad_()
        wanted = torch.tensor(classes, device=maps.device)
        # In a network that predicts, no image has a part in another's logits, so their sum has the gradient of each.
        total = behind(maps).gather(1, wanted[:, None]).sum()
        (gradient,) = torch.autograd.grad(total, maps)
        weights = gradient.mean((2, 3), keepdim=True)
        found: Map = (weights * maps.detach()).sum(1).relu().cpu().numpy()
    return found
