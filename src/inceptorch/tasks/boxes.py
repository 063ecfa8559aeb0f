"""The arithmetic between a detector's outputs and boxes: targets and losses."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from inceptorch.images.boxes import NO_BOX
from inceptorch.models.detector import Detector

RADIUS = 1.5  # strides around a box's center whose places are to find it (arXiv:1904.01355, as its authors improved it)
REACH = 8.0  # strides to the farthest edge up to which a level finds a box; the next coarser one finds larger ones
ALPHA, GAMMA = 0.25, 2.0  # of the focal loss (arXiv:1708.02002)


class Assignment(NamedTuple):
    """What every place is to tell: its class [N, P], -1 for none, and the box [N, P, 4] that it finds."""

    labels: Tensor
    boxes: Tensor


def assign(targets: Tensor, places: Tensor) -> Assignment:
    """The box that each place [P, 3] is to find among targets [N, M, 5], rows of label, left, top, right, bottom.

    It lies within the box and near its center, and the farthest edge is as far as its level finds boxes. Of several
    boxes it takes the smallest."""
    if not targets.shape[1]:  # there is always a smallest one among several
        targets = F.pad(targets, (0, 0, 0, 1), value=NO_BOX)
    x, y, stride = places.unbind(1)
    labels, boxes = targets[..., 0].long(), targets[..., 1:]
    left, top, right, bottom = boxes[:, None].unbind(3)  # each [N, 1, M]
    edges = torch.stack([x[:, None] - left, y[:, None] - top, right - x[:, None], bottom - y[:, None]], 3)
    inside = edges.amin(3) > 0
    off = torch.maximum((x[:, None] - (left + right) / 2).abs(), (y[:, None] - (top + bottom) / 2).abs())
    near = off < RADIUS * stride[:, None]
    farthest = edges.amax(3) / stride[:, None]
    finest, coarsest = stride.min(), stride.max()
    above = (farthest > REACH / 2) | (stride == finest)[:, None]
    below = (farthest <= REACH) | (stride == coarsest)[:, None]
    finds = inside & near & above & below & (labels >= 0)[:, None]
    areas = ((right - left) * (bottom - top)).expand_as(finds).masked_fill(~finds, torch.inf)
    area, which = areas.min(2)
    found = torch.where(area < torch.inf, labels.gather(1, which), NO_BOX)
    return Assignment(found, boxes.gather(1, which[..., None].expand(-1, -1, 4)))


def losses(model: Detector, outputs: Tensor, targets: Tensor) -> Tensor:
    """Losses [N] of outputs [N, P, classes + 5] for targets [N, M, 5]: focal loss of the classes, generalized IoU of
    the boxes weighed by their centerness, and cross entropy of the centerness, each over an image's own places."""
    from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

    outputs = outputs.float()
    logits, edges, centerness = torch.split(outputs, [model.num_classes, 4, 1], 2)
    labels, boxes = assign(targets, model.places)
    found = labels >= 0
    count = found.sum(1).clamp(min=1)
    wanted = F.one_hot(labels.clamp(min=0), model.num_classes) * found[..., None]
    loss = sigmoid_focal_loss(logits, wanted.to(logits.dtype), ALPHA, GAMMA).sum((1, 2)) / count

    image = found.nonzero()[:, 0]  # of each place that finds a box
    central = centerness_of(boxes, model.places)[found]
    overlap = generalized_box_iou_loss(model.to_boxes(edges)[found], boxes[found])
    sums = torch.zeros(3, len(outputs), device=outputs.device)
    certainty = F.binary_cross_entropy_with_logits(centerness[found][:, 0], central, reduction="none")
    sums = sums.index_add(1, image, torch.stack([central, central * overlap, certainty]))
    total: Tensor = loss + sums[1] / sums[0].clamp(min=1e-6) + sums[2] / count
    return total


def centerness_of(boxes: Tensor, places: Tensor) -> Tensor:
    """How central each place lies in its box, 1 at the center and 0 at an edge, [N, P] (arXiv:1904.01355 section 3)."""
    x, y, _ = places.unbind(1)
    left, top, right, bottom = boxes.unbind(2)
    ratio = torch.ones_like(left)
    for near, far in ((x - left, right - x), (y - top, bottom - y)):
        ratio = ratio * torch.minimum(near, far).clamp(min=0) / torch.maximum(near, far).clamp(min=1e-6)
    return ratio.sqrt()
