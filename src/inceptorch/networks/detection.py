"""The head of a detector, as data: a feature pyramid over layers of a network's body, and convolutions on it.

One stage and no anchors, as FCOS (Tian et al., arXiv:1904.01355): every place of every map of the pyramid tells the
classes, the distances to the four edges of the object that it lies in, and how central it lies there. The pyramid is
that of arXiv:1612.03144: each map gets a 1x1 convolution, the next coarser one is enlarged and added, and a 3x3
convolution follows. The towers, `depth` 3x3 convolutions with group normalization and ReLU, are shared by all maps.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from inceptorch.errors import TableError
from inceptorch.networks.complexity import LayerCost, body_tensors, layer_costs
from inceptorch.networks.layers import Shape, as_layer
from inceptorch.networks.network import NetworkSpec
from inceptorch.utils.validation import build, check_fields

REDUCTIONS = (8, 16, 32)  # pixels of the image for each place of a map
GROUPS = 16  # of channels that are normalized together
GROUP_EPS = 1e-5
LONGER_SIDE = 512  # pixels of a detector's images by default
STEP = 32  # of which their sides are multiples
MIXED = 0.2  # fraction of images that are upright, or are not, from which on a square serves all
EDGES = 4  # left, top, right, bottom
MAX_LOG_DISTANCE = 8.0  # of which strides; a larger one would leave any image and overflow
MIN_SCORE = 0.05  # below which a box is no answer
MAX_IOU = 0.6  # of two boxes of a class that are both answers
MAX_BOXES = 100  # of a class, and of an image
Side = Annotated[int, Meta(ge=64, le=4096, multiple_of=STEP, description=f"a multiple of {STEP} from 64 to 4096")]


@dataclass(frozen=True)
class DetectionHead:
    """The head on images of `width` x `height` pixels.

    levels    layers of the body whose maps the pyramid takes, the finest first
    channels  of the pyramid and of the towers
    depth     3x3 convolutions in each tower, that of the classes and that of the boxes
    """

    levels: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8, description="a list of layers of the body")]
    width: Side
    height: Side
    channels: Annotated[int, Meta(ge=GROUPS, le=1024, multiple_of=GROUPS)] = 128
    depth: Annotated[int, Meta(ge=0, le=8)] = 2

    def __post_init__(self) -> None:
        check_fields(self, TableError, "Detection head: ")

    def describe(self) -> str:
        """How images are prepared, for model cards."""
        return f"whole image, resized to fit into {self.width}x{self.height}, with the mean color beside or below it"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DetectionHead:
        """Read what `dataclasses.asdict` wrote. Raises TableError."""
        return build(cls, values, "The detection head", TableError)

    def body(self, net: NetworkSpec) -> NetworkSpec:
        """The network up to the last layer that the pyramid takes. Raises TableError for a layer that it lacks."""
        for level in self.levels:
            if level not in net.body:
                raise TableError(f"Cannot detect on layer {level!r}: {net.name} has no such layer in its body.")
        names = list(net.body)
        last = max(names.index(level) for level in self.levels)
        kept = {name: net.body[name] for name in names[: last + 1]}
        return NetworkSpec(net.name, net.title, net.source, net.size, kept, {}, norm=net.norm)

    def maps(self, net: NetworkSpec, in_chans: int = 3) -> list[Shape]:
        """The shapes (C, H, W) of the layers that the pyramid takes, finest first."""
        costs = layer_costs(self.body(net), (in_chans, self.height, self.width), 1)
        outputs = {cost.name: cost.output for cost in costs}
        return [outputs[level] for level in self.levels]

    def places(self, shapes: Sequence[Shape]) -> NDArray[np.float32]:
        """x, y and stride in pixels of every place of maps of these shapes, row by row, the finest map first: [places,
        3]."""
        found = []
        for _, height, width in shapes:
            across, along = self.width / width, self.height / height
            y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
            stride = np.full_like(x, math.sqrt(across * along))
            found.append(np.stack([x * across, y * along, stride], 2).reshape(-1, 3))
        return np.concatenate(found).astype(np.float32)

    def tensors(self, net: NetworkSpec, num_classes: int, in_chans: int = 3) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors of the detector by their names in its state dict."""
        found = body_tensors(self.body(net), (in_chans, self.height, self.width))
        for level, (channels, _, _) in zip(self.levels, self.maps(net, in_chans), strict=True):
            found |= _conv(f"lateral.{level}", self.channels, channels, 1)
            found |= _conv(f"pyramid.{level}", self.channels, self.channels, 3)
        for tower in ("class_tower", "box_tower"):
            for number in range(self.depth):
                found |= _conv(f"{tower}.{number}.conv", self.channels, self.channels, 3)
                found |= {f"{tower}.{number}.norm.{name}": (self.channels,) for name in ("weight", "bias")}
        for name, outputs in (("classes", num_classes), ("edges", EDGES), ("centerness", 1)):
            found |= _conv(name, outputs, self.channels, 3)
        return found | {"scales": (len(self.levels),)}

    def costs(self, net: NetworkSpec, num_classes: int, in_chans: int = 3) -> tuple[LayerCost, ...]:
        """Output, parameters and multiply-adds of the layers of the body, then of the parts of the head."""
        shapes = self.maps(net, in_chans)
        costs = list(layer_costs(self.body(net), (in_chans, self.height, self.width), 1)[:-1])  # without the linear one
        sizes = self.tensors(net, num_classes, in_chans)
        places = sum(height * width for _, height, width in shapes)
        for level, (_, height, width) in zip(self.levels, shapes, strict=True):
            for part in ("lateral", "pyramid"):
                output = (self.channels, height, width)
                costs.append(_cost(f"{part} {level}", f"{part}.{level}.", sizes, output, height * width))
        for part in ("class_tower", "box_tower") if self.depth else ():
            costs.append(_cost(part.replace("_", " "), f"{part}.", sizes, (self.channels, 1, places), places))
        for part, outputs in (("classes", num_classes), ("edges", EDGES), ("centerness", 1)):
            costs.append(_cost(part, f"{part}.", sizes, (outputs, 1, places), places))
        return tuple(costs)


def default_levels(net: NetworkSpec) -> tuple[str, ...]:
    """The last layer of the body at each reduction that detectors take: 3b, 4e and 5b of GoogLeNet.

    Raises TableError for a network whose maps are not reduced so far."""
    reduction, last = 1, dict[int, str]()
    for name, layer in net.body.items():
        reduction *= as_layer(layer).reduction
        last[reduction] = name
    levels = tuple(last[reduction] for reduction in REDUCTIONS if reduction in last)
    if not levels:
        raise TableError(f"Cannot detect with {net.name}: none of its maps is reduced 8, 16 or 32 times.")
    return levels


def canvas(sizes: Sequence[Sequence[int]], longer: int = 0) -> tuple[int, int]:
    """Width and height of a detector's images for images of these sizes (width, height): the longer side as given, the
    other one as of most images, both multiples of 32. A square where some are upright and some are not."""
    longer = longer or LONGER_SIDE
    upright = sum(height > width for width, height in sizes) / max(1, len(sizes))
    ratio = statistics.median(min(size) / max(size) for size in sizes) if sizes else 1.0
    if MIXED < upright < 1 - MIXED:
        ratio = 1.0
    shorter = min(longer, max(2 * STEP, STEP * round(ratio * longer / STEP)))
    return (shorter, longer) if upright >= 1 - MIXED else (longer, shorter)


def _conv(name: str, out: int, channels: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, channels, kernel, kernel), f"{name}.bias": (out,)}


def _cost(name: str, prefix: str, sizes: dict[str, tuple[int, ...]], output: Shape, places: int) -> LayerCost:
    """The cost of the tensors whose names begin so; the weights of convolutions work at every place."""
    numbers = [math.prod(shape) for tensor, shape in sizes.items() if tensor.startswith(prefix)]
    windows = [math.prod(shape) for tensor, shape in sizes.items() if tensor.startswith(prefix) and len(shape) == 4]
    return LayerCost(name, output, sum(numbers), sum(windows) * places)
