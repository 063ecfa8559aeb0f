"""The networks of an ensemble: region classifiers on one body, each with a layer, a view of the images and a seed.

GoogLeNet's six differed by how their training images were drawn. Here there is one set of weights, so the bodies are
the same, and the networks differ by what can be varied without training bodies anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inceptorch.images.boxes import Boxes
from inceptorch.papers.studies.detection_2014.maps import Corners, ImageMaps, View
from inceptorch.papers.studies.detection_2014.regions import (
    CLOSE,
    UNDECIDED,
    Components,
    fitted,
    label_regions,
    mine,
    moved,
    offsets_to,
    pooled,
    ridge,
)

MAX_POSITIVES, MAX_NEGATIVES = 32, 150  # proposals of a training image that are drawn, beside its objects
MIN_SCORE, MAX_IOU, MAX_BOXES = 0.02, 0.4, 100  # of the answers in an image; IoU of two of one class
PLACES = 64  # of each training image's map that the components are found from


@dataclass(frozen=True)
class Network:
    """The layer whose map is pooled, counted from the end of the pyramid's, and the view; its place is its seed."""

    level: int
    view: View

    def layer(self, levels: Sequence[str]) -> str:
        return levels[max(self.level, -len(levels))]

    def describe(self, levels: Sequence[str], seed: int) -> str:
        return f"maps of {self.layer(levels)}, images {self.view.describe()}, seed {seed}"


# A study with three networks has the first three. The views are those that the class-free detector is trained on.
NETWORKS = tuple(Network(level, view) for view in (View(), View(mirrored=True)) for level in (-2, -3, -1))


@dataclass(frozen=True)
class Regions:
    """Features of training regions [N, F], their images' own [N, K], labels [N], the objects' classes that they lie
    close to [N], UNDECIDED for none, and the offsets to these [N, 4]."""

    features: Tensor
    context: Tensor
    labels: Tensor
    close: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class RegionClassifier:
    """What a network has learned.

    heads  weight and bias of the classes, from a region's features and from these with the image's own
    moves  for each class, weight and bias of the box regression; None for a class without close regions
    """

    layer: str
    components: Components
    heads: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    moves: tuple[tuple[Tensor, Tensor] | None, ...]

    def features(self, maps: ImageMaps, index: int, boxes: Corners) -> tuple[Tensor, Tensor]:
        """Of regions [N, 4] in an image's pixels, [N, F]; and of the image itself, [K]."""
        return features_of(self.components, self.layer, maps, index, boxes)

    def answer(self, maps: ImageMaps, index: int, boxes: Corners) -> tuple[Tensor, Tensor]:
        """Probabilities [2, N, classes + 1] of regions, without and with context, and offsets [N, classes, 4] in the
        image as it is; both float16."""
        features, context = self.features(maps, index, boxes)
        whole = torch.cat([features, context.expand(len(features), -1)], 1)
        probabilities = [
            (x @ weight.T + bias).softmax(1) for x, (weight, bias) in zip((features, whole), self.heads, strict=True)
        ]
        still = torch.zeros(len(features), 4)
        offsets = [still if move is None else features @ move[0] + move[1] for move in self.moves]
        found = torch.stack(offsets, 1)
        if maps.view.mirrored:
            found[..., 0] *= -1
        return torch.stack(probabilities).half(), found.half()


def features_of(
    components: Components, layer: str, maps: ImageMaps, index: int, boxes: Corners
) -> tuple[Tensor, Tensor]:
    """As `RegionClassifier.features`."""
    head, reduced = maps.model.detection, components(maps.maps(index)[layer])
    seen = np.concatenate([maps.seen(index, Boxes.of(boxes, np.zeros(len(boxes)))).xyxy, maps.whole(index)])
    cells = pooled(reduced, seen, (head.width, head.height))
    return cells[:-1], cells[-1].view(len(reduced), -1).mean(1)


def train_network(maps: ImageMaps, layer: str, proposals: Sequence[Corners], seed: int) -> RegionClassifier:
    """Train on the proposals and objects of a split's images."""
    classes = len(maps.split.classes)
    components = Components.of(_places(maps, layer, seed))
    parts = [_of_image(components, layer, maps, index, boxes, seed) for index, boxes in enumerate(proposals)]
    names = ("features", "context", "labels", "close", "offsets")
    data = Regions(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
    usable = torch.nonzero(data.labels != UNDECIDED)[:, 0]
    chosen = usable[mine(data.features[usable], data.labels[usable], classes, seed)]
    features, labels = data.features[chosen].float(), data.labels[chosen]
    heads = tuple(
        fitted(x, labels, classes) for x in (features, torch.cat([features, data.context[chosen].float()], 1))
    )
    moves: list[tuple[Tensor, Tensor] | None] = []
    for label in range(classes):
        close = data.close == label
        moves.append(ridge(data.features[close].float(), data.offsets[close]) if close.any() else None)
    return RegionClassifier(layer, components, (heads[0], heads[1]), tuple(moves))


def _places(maps: ImageMaps, layer: str, seed: int) -> Tensor:
    """Places [N, C] of the training maps."""
    draw, found = torch.Generator().manual_seed(seed), []
    for index in range(len(maps.split)):
        flat = maps.maps(index)[layer].flatten(1).T
        found.append(flat[torch.randperm(len(flat), generator=draw)[:PLACES]])
    return torch.cat(found)


def _of_image(components: Components, layer: str, maps: ImageMaps, index: int, boxes: Corners, seed: int) -> Regions:
    """The regions that an image gives: its objects, and proposals drawn by the seed."""
    objects, classes = maps.split.boxes[index], len(maps.split.classes)
    labels, which, overlap = label_regions(boxes, objects, classes)
    draw = np.random.default_rng((seed, index))
    drawn = [
        draw.permutation(np.flatnonzero(kind))[:most]
        for kind, most in (
            ((labels >= 0) & (labels < classes), MAX_POSITIVES),
            (labels == classes, MAX_NEGATIVES),
        )
    ]
    chosen = np.concatenate(drawn)
    own = np.flatnonzero(~(objects.crowd | objects.difficult))
    regions = np.concatenate([objects.xyxy[own], boxes[chosen]])
    labels = np.concatenate([objects.labels[own], labels[chosen]])
    which = np.concatenate([own, which[chosen]])
    close = np.concatenate([np.ones(len(own)), overlap[chosen]]) > CLOSE
    seen, goals = (maps.seen(index, Boxes.of(each, np.zeros(len(each)))).xyxy for each in (regions, objects.xyxy))
    offsets = np.zeros((len(regions), 4))
    offsets[close] = offsets_to(seen[close], goals[which[close]])
    features, context = features_of(components, layer, maps, index, regions)
    return Regions(
        features.half(),
        context.expand(len(features), -1).half(),
        torch.from_numpy(labels.astype(np.int64)),
        torch.from_numpy(np.where(close, objects.labels[which] if len(objects) else 0, UNDECIDED).astype(np.int64)),
        torch.from_numpy(offsets).float(),
    )


@dataclass(frozen=True)
class Answers:
    """A network's answers for all proposals of the test images, image after image: probabilities float16 [2, N,
    classes + 1], without and with context, and offsets float16 [N, classes, 4]."""

    probabilities: Tensor
    offsets: Tensor


def answers(
    train: ImageMaps, test: ImageMaps, layer: str, proposals: tuple[Sequence[Corners], Sequence[Corners]], seed: int
) -> Answers:
    """Train a network on the proposals in the training images, and ask it about those in the test images."""
    classifier = train_network(train, layer, proposals[0], seed)
    parts = [classifier.answer(test, index, boxes) for index, boxes in enumerate(proposals[1])]
    return Answers(torch.cat([one for one, _ in parts], 1), torch.cat([other for _, other in parts]))


def detections(boxes: Corners, probabilities: Tensor, offsets: Tensor | None, size: tuple[int, int]) -> Boxes:
    """The answer for an image of `size`: its regions [N, 4] by class, moved by offsets [N, classes, 4] if given, after
    non-maximum suppression."""
    from torchvision.ops import batched_nms

    scores = probabilities[:, :-1].float()
    place, label = (scores > MIN_SCORE).nonzero().unbind(1)
    regions = boxes[place.numpy()]
    if offsets is not None:
        regions = moved(regions, offsets[place, label].double().numpy())
    regions = Boxes.of(regions, label).clipped(*size).xyxy
    score = scores[place, label]
    kept = batched_nms(torch.from_numpy(regions), score.double(), label, MAX_IOU)[:MAX_BOXES].numpy()
    return Boxes.of(regions[kept], label[kept], score[kept])
