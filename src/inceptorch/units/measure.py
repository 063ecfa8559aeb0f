"""One pass over images: the units of every layer of a network, and how alike layers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.data.split import Split
from inceptorch.data.verify import Skipped
from inceptorch.errors import BundleError, DataError, ImageError, TableError, did_you_mean
from inceptorch.features.inputs import open_images
from inceptorch.images.preprocessing import ImageArray
from inceptorch.inference.engines.formats import is_exported
from inceptorch.inference.inputs import to_input
from inceptorch.inference.pipeline import in_batches
from inceptorch.models.normalize import Normalize
from inceptorch.networks.complexity import LayerCost
from inceptorch.units.cka import MAX_IMAGES, linear_cka
from inceptorch.units.clusters import LEVELS, Dendrogram, average_linkage
from inceptorch.units.statistics import DIMENSIONS, DISTANCES, LayerSums, UnitStatistics
from inceptorch.units.top_images import TopImages
from inceptorch.utils.cpu import processors
from inceptorch.utils.ordered_map import ordered_map
from inceptorch.utils.progress import Progress

BATCH_SIZE = 16
NEIGHBORS = 8  # nearest units of a unit
FEW = 2  # places for each unit, below which rank and correlation say more of the number of images than of the units


@dataclass(frozen=True, eq=False)
class LayerUnits:
    """The units of one layer: what they are like, its fraction of the network's multiply-adds, and where they are
    most active."""

    layer: str
    cost: float
    statistics: UnitStatistics
    top: TopImages

    @property
    def channels(self) -> int:
        return len(self.statistics.active)

    @cached_property
    def varying(self) -> list[int]:
        """The units that are not constant."""
        return np.flatnonzero(self.statistics.varies).tolist()

    @cached_property
    def dendrogram(self) -> Dendrogram | None:
        """Of the units that are not constant, by their positions in `varying`; None where all are constant."""
        if not self.varying:
            return None
        return average_linkage(self.statistics.correlation[np.ix_(self.varying, self.varying)])

    def clusters(self, level: float) -> list[list[int]]:
        """Clusters of units whose absolute correlation is `level` or more on average, one of every single unit."""
        found = self.dendrogram.clusters(level) if self.dendrogram else []
        return [[self.varying[at] for at in each] for each in found]

    def nearest(self, unit: int) -> list[tuple[int, float]]:
        """The units with the highest absolute correlation to a unit, and that correlation."""
        row = self.statistics.correlation[unit]
        order = np.argsort(-np.abs(row), kind="stable").tolist()
        return [(other, float(row[other])) for other in order if other != unit and row[other]][:NEIGHBORS]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        found = self.statistics
        return {
            "layer": self.layer,
            "channels": self.channels,
            "cost": self.cost,
            "places": found.places,
            "mean_correlation": {str(distance): found.mean_correlation[distance] for distance in DISTANCES},
            "nearest_correlation": {str(distance): found.nearest_correlation[distance] for distance in DISTANCES},
            "self_correlation": {str(distance): found.self_correlation[distance] for distance in DISTANCES[1:]},
            **{f"clusters_{level * 100:.0f}": len(self.clusters(level)) for level in LEVELS},
            "effective_rank": found.effective_rank,
            "participation_ratio": found.participation_ratio,
            **{f"dimensions_{part * 100:.0f}": found.dimensions[part] for part in DIMENSIONS},
            "dead": len(found.dead),
            "dead_units": found.dead,
            "rare": len(found.rare),
            "zeros": found.zeros,
        }


@dataclass(frozen=True, eq=False)
class Similarity:
    """Linear CKA [rows, columns] of layers; None where there are too few images."""

    rows: list[str]
    columns: list[str]
    values: NDArray[np.float64] | None

    def row(self, layer: str) -> dict[str, float | None]:
        """The values of one layer by the other; None for one that is the same for all images."""
        if self.values is None:
            return dict.fromkeys(self.columns)
        values = self.values[self.rows.index(layer)].tolist()
        return {name: value if np.isfinite(value) else None for name, value in zip(self.columns, values, strict=True)}


@dataclass(frozen=True, eq=False)
class MeasuredUnits:
    """The units of a network on some images.

    classifier  whose units they are
    layers      in the order of the table
    within      likeness of the layers to one another
    against     likeness of the layers to those of another network; None without one
    seen        images that were read
    skipped     images that could not be read
    """

    classifier: Classifier
    layers: list[LayerUnits]
    within: Similarity
    against: Similarity | None
    seen: int
    skipped: list[Skipped]
    images: list[tuple[Split, int]] = field(repr=False)

    def file(self, index: int) -> str:
        """The name of an image."""
        split, at = self.images[index]
        return split.file(at)

    def input(self, index: int) -> ImageArray:
        """An image as the network takes it, [height, width, 3]. Raises ImageError."""
        split, at = self.images[index]
        return to_input(split.image(at), self.classifier.config)

    def few(self) -> list[str]:
        """The layers that were seen at too few places for their number of units."""
        return [each.layer for each in self.layers if each.statistics.places < FEW * each.channels]

    def to_list(self) -> list[dict[str, Any]]:
        """The JSON form, one object a layer."""
        return [
            {
                **each.to_dict(),
                "cka": self.within.row(each.layer),
                **({} if self.against is None else {"cka_against": self.against.row(each.layer)}),
            }
            for each in self.layers
        ]

    def unit_to_dict(self, layer: LayerUnits, unit: int) -> dict[str, Any]:
        """The JSON form of one unit: its top images and its nearest units."""
        size = self.classifier.config.input_size
        top = [
            {
                "file": self.file(image.index),
                "value": image.value,
                "place": list(layer.top.center(image, *size)),
                "box": list(layer.top.box(image, *size)),
            }
            for image in layer.top.of(unit)
        ]
        nearest = [{"unit": other, "correlation": value} for other, value in layer.nearest(unit)]
        active = float(layer.statistics.active[unit])
        return {"unit": unit, "active": active, "top_images": top, "nearest": nearest}


def open_network(model: str | Path) -> Classifier:
    """A classifier or detector on the best device. Raises BundleError, also for an exported file."""
    if is_exported(model):
        raise BundleError(f"Cannot see the units of {model}: it is an exported file. Name the bundle or run of it.")
    return load(model).to_best_device()


def find_layers(classifier: Classifier, layer: str | None = None) -> dict[str, LayerCost]:
    """The layers of the body that compute, or the one called `layer`, which may be any. Raises TableError."""
    body = [name for name, _ in classifier.model.body.named_children()]
    costs = {cost.name: cost for cost in classifier.config.layer_costs if cost.name in body}
    if layer is None:
        return {name: cost for name, cost in costs.items() if cost.macs}
    if layer not in costs:
        raise TableError(
            f"Cannot see layer {layer!r}, which the body of {classifier.config.architecture} does not have: "
            f"{did_you_mean(layer, costs)}"
        )
    return {layer: costs[layer]}


def find_unit(classifier: Classifier, name: str) -> tuple[str, int | None]:
    """The layer and the unit that LAYER or LAYER:UNIT names. Raises TableError for what the network does not have."""
    layer, colon, number = name.rpartition(":")
    if not colon:
        find_layers(classifier, name)
        return name, None
    units = find_layers(classifier, layer)[layer].output[0]
    if not (number.isdecimal() and number.isascii()) or int(number) >= units:
        raise TableError(f"Cannot see unit {number!r} of layer {layer}: it has {units} units. Try 0 to {units - 1}.")
    return layer, int(number)


def measure_units(
    classifier: Classifier,
    data: str | Path,
    *,
    layer: str | None = None,
    against: Classifier | None = None,
    progress: Progress | None = None,
) -> MeasuredUnits:
    """The units of all layers that compute, or of `layer`, over the images of DATA; and how alike the layers are to one
    another and to those of `against`.

    data  as for training, with all of its splits; or a folder, zip or list of images without classes

    Raises TableError for an unknown layer, BundleError for a custom module, and DataError where no image can be read.
    """
    progress = progress or Progress(quiet=True)
    costs = find_layers(classifier, layer)
    networks = [_Network(classifier, list(costs))]
    if against is not None:
        networks.append(_Network(against, list(find_layers(against))))
    images = [(split, index) for split in open_images(data) for index in range(len(split))]
    sums = {name: LayerSums(cost.output[0]) for name, cost in costs.items()}
    tops = {name: TopImages(cost.output[0]) for name, cost in costs.items()}
    every = -(-len(images) // MAX_IMAGES)
    pooled: list[dict[str, list[NDArray[np.float64]]]] = [{name: [] for name in each.layers} for each in networks]
    skipped: list[Skipped] = []
    seen = 0
    for batch in in_batches(_read(images, networks, skipped, progress), BATCH_SIZE):
        indices = [index for index, _ in batch]
        seen += len(batch)
        kept = [at for at, index in enumerate(indices) if index % every == 0]
        for number, network in enumerate(networks):
            for name, maps in network.maps(np.stack([inputs[number] for _, inputs in batch])):
                if number == 0:
                    sums[name].add(maps)
                    tops[name].add(maps, indices)
                pooled[number][name].append(_pooled(maps[kept]))
    if not seen:
        raise DataError(f"{data} holds no image that can be read: {skipped[0]['file']} {skipped[0]['error']}.")
    total = classifier.config.macs
    layers = [
        LayerUnits(name, cost.macs / total if total else 0.0, sums.pop(name).finish(), tops[name])
        for name, cost in progress.track(costs.items(), len(costs), "correlating")
    ]
    features = [[np.concatenate(each) for each in found.values()] for found in pooled]
    names = [each.layers for each in networks]
    return MeasuredUnits(
        classifier, layers, Similarity(names[0], names[0], linear_cka(features[0], features[0])),
        None if against is None else Similarity(names[0], names[1], linear_cka(features[0], features[1])),
        seen, skipped, images,
    )  # fmt: skip


class _Network:
    """A network that gives the maps of some layers."""

    def __init__(self, classifier: Classifier, layers: Sequence[str]):
        self.config, self.layers = classifier.config, list(layers)
        self.model = classifier.model.eval()
        self.normalize = Normalize(classifier.preprocessing).to(next(self.model.parameters()).device)

    @torch.inference_mode()
    def maps(self, inputs: NDArray[np.uint8]) -> Iterator[tuple[str, Tensor]]:
        """The layers and their maps for inputs [N, height, width, 3], in the order of the table. A map must be used
        before the next is taken, as the layer after it may change it in place."""
        x = torch.from_numpy(inputs).to(self.normalize.mean.device).permute(0, 3, 1, 2)
        x = self.normalize(x).contiguous(memory_format=torch.channels_last)
        body: nn.Module = self.model.body
        left = len(self.layers)
        for name, layer in body.named_children():
            x = layer(x)
            if name in self.layers:
                left -= 1
                yield name, x
            if not left:
                return


def _read(
    images: Sequence[tuple[Split, int]], networks: Sequence[_Network], skipped: list[Skipped], progress: Progress
) -> Iterator[tuple[int, list[ImageArray]]]:
    """The number of each image that can be read, and its array for each network, decoded ahead in threads."""

    def read(index: int) -> tuple[int, list[ImageArray] | ImageError]:
        split, at = images[index]
        try:
            image = split.image(at)
            return index, [to_input(image, network.config) for network in networks]
        except ImageError as error:
            return index, error

    with ThreadPoolExecutor(processors()) as pool:
        found = ordered_map(pool, read, range(len(images)), 2 * BATCH_SIZE)
        for index, inputs in progress.track(found, len(images), "images"):
            if isinstance(inputs, ImageError):
                split, at = images[index]
                skipped.append(Skipped(file=split.file(at), error=inputs.reason))
            else:
                yield index, inputs


def _pooled(maps: Tensor) -> NDArray[np.float64]:
    """The means of maps over their places, [N, C]."""
    means = maps.mean((2, 3)) if maps.ndim == 4 else maps
    found: NDArray[np.float64] = means.double().cpu().numpy()
    return found
