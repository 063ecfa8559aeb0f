"""The PyTorch module of a detector: a network's body with the head of `networks.detection`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inceptorch.images.boxes import Boxes
from inceptorch.models.blocks import layer_order, sequential
from inceptorch.models.init import init_weights
from inceptorch.networks.detection import (
    EDGES,
    GROUP_EPS,
    GROUPS,
    MAX_BOXES,
    MAX_IOU,
    MAX_LOG_DISTANCE,
    MIN_SCORE,
    DetectionHead,
)
from inceptorch.networks.network import NetworkSpec

PRIOR = 0.01  # probability of an object at a place that a new head begins with (arXiv:1708.02002 section 4.1)


class Detector(nn.Module):
    """A network's body up to the last level of the pyramid, and the head.

    `model(x)` takes float images [N, in_chans, height, width], scaled as the weights expect, and returns one row for
    each place of the pyramid, the finest map first: [N, places, num_classes + 5]. A row has the logits of the classes,
    the logarithms of the distances to the left, top, right and bottom edge in strides of the place, and the logit of
    the centerness.

    It also takes maps of the body that were computed before, as `pack` makes one row of them: [N, numbers].

    frozen_norm  whether the body's batch normalization keeps the statistics of the given weights in training, as small
                 batches of large images give poor ones; a body of random weights has none to keep
    """

    frozen_norm = True

    def __init__(
        self, net: NetworkSpec, head: DetectionHead, num_classes: int, in_chans: int = 3, *, initialize: bool = True
    ):
        super().__init__()
        self.net, self.detection, self.num_classes, self.in_chans = net, head, num_classes, in_chans
        self.shapes = head.maps(net, in_chans)
        spec = head.body(net)
        self.body = sequential(spec.body, (in_chans, head.height, head.width), net.norm).eval()
        channels = head.channels
        self.lateral = nn.ModuleDict(
            {level: nn.Conv2d(shape[0], channels, 1) for level, shape in zip(head.levels, self.shapes, strict=True)}
        )
        self.pyramid = nn.ModuleDict({level: nn.Conv2d(channels, channels, 3, padding=1) for level in head.levels})
        self.class_tower, self.box_tower = (_tower(channels, head.depth) for _ in range(2))
        self.classes = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.edges = nn.Conv2d(channels, EDGES, 3, padding=1)
        self.centerness = nn.Conv2d(channels, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(head.levels)))
        self.register_buffer("places", torch.from_numpy(head.places(self.shapes)), persistent=False)
        self.places: Tensor
        if initialize:
            self.reset_head()
            init_weights(self.body, [])

    def reset_head(self) -> None:
        """Fresh weights for everything but the body."""
        for part in (self.lateral, self.pyramid, self.class_tower, self.box_tower):
            init_weights(part, [])
        init_weights(self.classes, [self.classes])
        init_weights(self.edges, [self.edges])
        init_weights(self.centerness, [self.centerness])
        nn.init.constant_(self.classes.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[N, places, num_classes + 5] of images [N, in_chans, height, width], or of packed maps [N, numbers]."""
        return self.forward_head(self.unpack(x) if x.ndim == 2 else self.forward_maps(x))

    def forward_maps(self, x: Tensor) -> list[Tensor]:
        """The maps [N, C, H, W] of the body that the pyramid takes, finest first."""
        maps = {}
        for name, layer in self.body.named_children():
            x = layer(x)
            if name in self.lateral:
                maps[name] = x
        return [maps[level] for level in self.detection.levels]

    def forward_head(self, maps: Sequence[Tensor]) -> Tensor:
        """[N, places, num_classes + 5] from the maps of the body."""
        levels = self.detection.levels
        merged = [self.lateral[level](x) for level, x in zip(levels, maps, strict=True)]
        for finer in range(len(levels) - 2, -1, -1):
            height, width = self.shapes[finer][1:]
            merged[finer] = merged[finer] + F.interpolate(merged[finer + 1], (height, width), mode="nearest")
        rows = []
        for number, level in enumerate(levels):
            x = self.pyramid[level](merged[number])
            about_class, about_box = self.class_tower(x), self.box_tower(x)
            edges = self.edges(about_box) * self.scales[number]
            outputs = torch.cat([self.classes(about_class), edges, self.centerness(about_box)], 1)
            rows.append(outputs.flatten(2).transpose(1, 2))
        return torch.cat(rows, 1)

    def pack(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps [N, C, H, W] of the body as rows [N, numbers], channels last."""
        return torch.cat([x.permute(0, 2, 3, 1).flatten(1) for x in maps], 1)

    def unpack(self, rows: Tensor) -> list[Tensor]:
        """The maps of the body from rows that `pack` made."""
        parts = torch.split(rows, [math.prod(shape) for shape in self.shapes], 1)
        return [
            part.view(len(rows), height, width, channels).permute(0, 3, 1, 2)
            for part, (channels, height, width) in zip(parts, self.shapes, strict=True)
        ]

    def train(self, mode: bool = True) -> Detector:
        """As `nn.Module.train`, but for the body's batch normalization if it is frozen."""
        super().train(mode)
        self.body.train(mode and not self.frozen_norm)
        return self

    def group_matcher(self) -> Callable[[str], float]:
        """The order of the layers, by the name of a parameter, for rates that fall from the head to the stem."""
        return layer_order(name for name, _ in self.body.named_children())

    def scale_inputs(self, maps: Sequence[Tensor]) -> None:
        """Make the weights of the lateral convolutions as small as maps of images are large, so that a new head begins
        with values of unit size whatever the body gives."""
        with torch.no_grad():
            for level, found in zip(self.detection.levels, maps, strict=True):
                self.lateral[level].weight.div_(found.square().mean().sqrt().clamp(min=1e-6))  # type: ignore[operator]

    def decode(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [N, places, 4] as left, top, right, bottom in pixels of the network's image, within it, and scores
        [N, places, num_classes] from 0 to 1, the geometric means of a class's probability and the centerness; infinite
        for outputs that are no numbers."""
        logits, edges, centerness = torch.split(outputs.float(), [self.num_classes, EDGES, 1], 2)
        scores = (logits.sigmoid() * centerness.sigmoid()).sqrt()
        scores = scores.masked_fill(scores.isnan(), torch.inf)  # or they would pass for no boxes
        return self.to_boxes(edges), scores

    def to_boxes(self, edges: Tensor) -> Tensor:
        """Boxes [N, places, 4] within the network's image from the logarithms of distances."""
        x, y, stride = self.places.unbind(1)
        left, top, right, bottom = (edges.clamp(max=MAX_LOG_DISTANCE).exp() * stride[:, None]).unbind(2)
        width, height = self.detection.width, self.detection.height
        across = torch.stack([x - left, x + right], 2).clamp(0, width)
        along = torch.stack([y - top, y + bottom], 2).clamp(0, height)
        return torch.stack([across[..., 0], along[..., 0], across[..., 1], along[..., 1]], 2)


def best_boxes(boxes: Tensor, scores: Tensor, min_score: float = MIN_SCORE) -> list[Boxes]:
    """The answers for N images, best first, from boxes [N, P, 4] and scores [N, P, classes]: non-maximum suppression
    within each class, at most `MAX_BOXES` of a class, and of an image."""
    from torchvision.ops import batched_nms

    found = []
    for of_image, scores_of_image in zip(boxes, scores, strict=True):
        place, label = (scores_of_image > min_score).nonzero().unbind(1)
        score = scores_of_image[place, label]
        kept = batched_nms(of_image[place], score, label, MAX_IOU)[:MAX_BOXES]
        parts = (of_image[place[kept]], label[kept], score[kept])
        found.append(Boxes.of(*(part.cpu().numpy() for part in parts)))
    return found


def _tower(channels: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_block(channels) for _ in range(depth)))


def _block(channels: int) -> nn.Sequential:
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(channels, channels, 3, padding=1))
    block.add_module("norm", nn.GroupNorm(GROUPS, channels, GROUP_EPS))
    block.add_module("relu", nn.ReLU(inplace=True))
    return block
