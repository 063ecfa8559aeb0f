"""Grad-CAM: Selvaraju et al., arXiv:1610.02391."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map
from inceptorch.explanation.split_model import activations, default_layer, eval_with_gradients, split_at
from inceptorch.images.preprocessing import ImageArray


def gradcam(
    classifier: Classifier, crops: Sequence[ImageArray], classes: Sequence[int], layer: str | None = None
) -> Map:
    """The evidence for one class in each uint8 crop [S, S, 3]: float32 [N, h, w], not below 0 and not scaled, from one
    forward and one backward pass to `layer` of the body (`default_layer` by default).

    The weight of a channel is the gradient of the class's logit with respect to it, averaged over the map (equation 1).
    The result is the positive part of the weighted sum of channels (equation 2). Raises TableError for a layer that the
    body does not have.
    """
    model = classifier.model
    layer = default_layer(model.net, crops[0].shape[0]) if layer is None else layer
    after = split_at(model, layer)
    with eval_with_gradients(model):
        with torch.no_grad():
            maps = activations(model, layer, classifier.prepare(crops))
        maps.requires_grad_()
        targets = torch.tensor(classes, device=maps.device)
        # In evaluation mode no image affects another's logits, so their sum has the gradient of each.
        (gradient,) = torch.autograd.grad(after(maps).gather(1, targets[:, None]).sum(), maps)
        cam: Map = (gradient.mean((2, 3), keepdim=True) * maps.detach()).sum(1).relu().cpu().numpy()
    return cam
