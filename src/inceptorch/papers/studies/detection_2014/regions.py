"""Classifying regions, as R-CNN (arXiv:1311.2524) but on pooled maps: labels, features, hard negatives, box regression.

A region's features are its maps, pooled on a grid of CELLS x CELLS. Their channels are first reduced to the principal
components of the training maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inceptorch.images.boxes import Boxes, intersections, iou
from inceptorch.papers.studies.detection_2014.maps import Corners
from inceptorch.training.linear_probe import fit
from inceptorch.training.recipe import RECIPES

CELLS = 3
CHANNELS = 128
SAMPLES = 2  # of a map along each side of a cell
POSITIVE, NEGATIVE = 0.5, 0.3  # IoU with an object from which on a region has its class, and below which it has none
CLOSE = 0.6  # IoU from which on a region learns where its object lies
RIDGE = 1000.0
UNDECIDED = -1
ROUNDS = 2  # of mining hard negatives
PROBE = RECIPES["head"].replace(linear_probe_steps=60, linear_probe_l2=0.01, label_smoothing=0.0)

Labels = NDArray[np.int64]


def label_regions(regions: Corners, objects: Boxes, classes: int) -> tuple[Labels, Labels, Corners]:
    """The class of each region [N], `classes` for background and UNDECIDED between; the object that it overlaps most
    [N], -1 without any; and that IoU [N].

    Regions on crowds and difficult objects are undecided, unless they have the class of another object."""
    passed_over = objects.crowd | objects.difficult
    which, overlap = np.full(len(regions), -1), np.zeros(len(regions))
    labels = np.full(len(regions), classes)
    counted = np.flatnonzero(~passed_over)
    if len(counted):
        overlaps = iou(regions, objects.xyxy[counted])
        which, overlap = counted[overlaps.argmax(1)], overlaps.max(1)
    labels[overlap >= NEGATIVE] = UNDECIDED
    if passed_over.any():
        shared = intersections(regions, objects.xyxy[passed_over]).max(1)
        areas = (regions[:, 2:] - regions[:, :2]).clip(0).prod(1)
        labels[shared >= NEGATIVE * areas] = UNDECIDED
    positive = overlap >= POSITIVE
    labels[positive] = objects.labels[which[positive]]
    return labels, which, overlap


def offsets_to(regions: Corners, objects: Corners) -> Corners:
    """From each region to its object, both [N, 4]: the center's way in sides of the region, and the logarithms of the
    sides' ratios (arXiv:1311.2524, appendix C)."""
    center, sides = _centers(regions)
    goal, size = _centers(objects)
    found: Corners = np.concatenate([(goal - center) / sides, np.log(size / sides)], 1)
    return found


def moved(regions: Corners, offsets: Corners) -> Corners:
    """Regions [N, 4] moved by such offsets [N, 4]."""
    center, sides = _centers(regions)
    goal, half = center + offsets[:, :2] * sides, sides * np.exp(offsets[:, 2:].clip(-2, 2)) / 2
    found: Corners = np.concatenate([goal - half, goal + half], 1)
    return found


def _centers(boxes: Corners) -> tuple[Corners, Corners]:
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(1e-6)
    return boxes[:, :2] + sides / 2, sides


@dataclass(frozen=True)
class Components:
    """The first principal components of maps with C channels: their mean [C] and directions [K, C]."""

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, places: Tensor) -> Components:
        """Of places of maps [N, C]."""
        mean = places.mean(0)
        _, directions = torch.linalg.eigh((places - mean).T @ (places - mean))
        return cls(mean, directions.T.flip(0)[:CHANNELS].contiguous())

    def __call__(self, maps: Tensor) -> Tensor:
        """Maps [C, H, W] as [K, H, W]."""
        flat = maps.flatten(1) - self.mean[:, None]
        return (self.directions @ flat).view(-1, *maps.shape[1:])


def pooled(maps: Tensor, boxes: Corners, size: tuple[int, int]) -> Tensor:
    """Features [N, K * CELLS * CELLS] of boxes [N, 4] on an image of `size` (width, height) with maps [K, H, W]."""
    from torchvision.ops import roi_align

    height, width = maps.shape[1:]
    on_map = torch.from_numpy(boxes * np.tile([width / size[0], height / size[1]], 2)).float()
    cells = roi_align(maps[None], [on_map], CELLS, sampling_ratio=SAMPLES, aligned=True)
    found: Tensor = cells.flatten(1)
    return found


def mine(features: Tensor, labels: Tensor, classes: int, seed: int) -> Tensor:
    """The regions [M] that a classifier is fitted to, of features [N, F] and labels [N]: those of objects, as many
    of the background at random, and in ROUNDS as many again that it takes for objects most."""
    draw = torch.Generator().manual_seed(seed)
    positive, negative = torch.nonzero(labels != classes)[:, 0], torch.nonzero(labels == classes)[:, 0]
    count = max(1, len(positive))  # negatives of a round
    negative = negative[torch.randperm(len(negative), generator=draw)]
    chosen, rest = torch.cat([positive, negative[:count]]), negative[count:]
    for _ in range(ROUNDS):
        if not len(rest):
            break
        weight, bias = fitted(features[chosen].float(), labels[chosen], classes)
        certainty = torch.cat([_background(part, weight, bias) for part in torch.split(features[rest], 4096)])
        order = certainty.argsort()  # the least certain first
        chosen, rest = torch.cat([chosen, rest[order[:count]]]), rest[order[count:]]
    return chosen


def _background(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (features.float() @ weight.T + bias).softmax(1)[:, -1]


def fitted(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weight [classes + 1, F] and bias of multinomial logistic regression, the background last."""
    *_, last = fit(features, labels, classes + 1, PROBE)
    return last.weight, last.bias


def ridge(features: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [F, 4] and bias [4] of ridge regression from features [N, F] to offsets [N, 4]; the bias is free, so a
    constant offset is found exactly."""
    mean, goal = features.mean(0), goals.mean(0)
    x = (features - mean).double()
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(gram, x.T @ (goals - goal).double()).float()
    return weight, goal - mean @ weight
