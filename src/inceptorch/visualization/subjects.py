"""What images are optimized for: channels, places, directions and classes of a network, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inceptorch.classifier import Classifier
from inceptorch.classifier.classes import find_class
from inceptorch.errors import InceptorchError, TableError
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.networks.layers import Shape, as_layer
from inceptorch.utils.files import open_regular, reading
from inceptorch.visualization.maps import LOGITS, Maps
from inceptorch.visualization.objectives import Objective, channel, direction, logit, parse_objective, peak

CHANNEL = re.compile(r"\s*([^\s:*+-]+):(\d+)\s*")
MAX_CHANNELS = 16  # of a layer, unless they are named
COSINE_POWER = 1.0  # so that what points elsewhere counts less


@dataclass(frozen=True)
class Subject:
    """What one image shows.

    label      for people
    objective  what an image of it maximizes
    peak       by which photographs are ranked: of a channel its highest value, where the objective takes the mean
    """

    label: str
    objective: Objective
    peak: Objective


def find_subjects(
    classifier: Classifier,
    layer: str | Objective | None,
    *,
    target: str | int | None = None,
    channels: Sequence[int] | None = None,
    along: Tensor | None = None,
    size: int | None = None,
) -> list[Subject]:
    """The subjects of `visualize`: `layer` is LAYER, LAYER:CHANNEL, a sum of such terms, or an objective; `target` a
    class; `along` a direction in the layer.

    Raises TableError for what the network does not have in images of `size` pixels (its own by default), and
    BundleError for an unknown class.
    """
    if layer is not None and target is not None:
        raise InceptorchError("Cannot visualize a layer and a class at once. Try one of them.")
    if layer is None and target is None:
        raise InceptorchError("Cannot tell what to visualize. Try a layer (4c), a channel (4c:12) or --class NAME.")
    whole = isinstance(layer, str) and ":" not in layer
    for given, name in ((channels, "--channels"), (along, "--direction")):
        if given is not None and not whole:
            raise InceptorchError(f"Cannot use {name} here: it needs a layer alone. Try 4c with {name}.")
    if along is not None and channels is not None:
        raise InceptorchError("Cannot use --channels with --direction, which goes through all of them. Try one alone.")
    subjects = _subjects(classifier, layer, target, channels, along, size)
    layers = {name for subject in subjects for name in subject.objective.layers}
    if LOGITS in layers and classifier.config.detection is not None:
        raise TableError("Cannot visualize a class of a detector: it answers with boxes. Try a layer of its body.")
    shapes = map_shapes(classifier, layers, size)
    for subject in subjects:
        for unit in sorted(subject.objective.units, key=str):
            unit.check(shapes)
    return subjects


def map_shapes(classifier: Classifier, layers: set[str], size: int | None = None) -> dict[str, tuple[int, ...]]:
    """The shapes of maps in images of `size` pixels, by default those of the network."""
    side = size or classifier.preprocessing.size
    return Maps(classifier, sorted(layers)).shapes(side, side)


def _subjects(
    classifier: Classifier,
    layer: str | Objective | None,
    target: str | int | None,
    channels: Sequence[int] | None,
    along: Tensor | None,
    size: int | None,
) -> list[Subject]:
    if target is not None:
        index = find_class(classifier.classes, target)
        return [Subject(classifier.classes[index], logit(index), logit(index))]
    if isinstance(layer, Objective):
        return [Subject("objective", layer, layer)]
    assert layer is not None
    if along is not None:
        found, *_ = map_shapes(classifier, {layer}, size)[layer]
        if along.shape != (found,):
            raise TableError(
                f"Cannot use a direction of {len(along)} values: layer {layer} has {found} channels. Give one for each."
            )
        objective = direction(layer, along, COSINE_POWER)
        return [Subject(f"a direction of {layer}", objective, objective)]
    if single := CHANNEL.fullmatch(layer):
        return [_channel(classifier, single[1], int(single[2]))]
    if ":" in layer:
        objective = parse_objective(layer)
        return [Subject(layer.strip(), objective, objective)]
    if channels is None:
        channels = range(min(MAX_CHANNELS, map_shapes(classifier, {layer}, size)[layer][0]))
    return [_channel(classifier, layer, index) for index in channels]


def _channel(classifier: Classifier, layer: str, index: int) -> Subject:
    label = f"{layer}:{index}"
    if layer == LOGITS and index < len(classifier.classes):
        label = classifier.classes[index]
    return Subject(label, channel(layer, index), peak(layer, index))


def earlier_layer(classifier: Classifier, layers: frozenset[str]) -> str:
    """The layer of the table before these, by whose maps images are told apart: in a layer itself, unlike images could
    differ in nothing but what is maximized. Of a custom module it is the layer itself."""
    if not isinstance(classifier.model, Model | Detector):
        return sorted(layers)[0]
    body = classifier.model.net.body
    names, spatial = list(body), list[str]()
    shape: Shape = (classifier.model.in_chans, classifier.preprocessing.size, classifier.preprocessing.size)
    last = max((names.index(layer.partition(".")[0]) if layer != LOGITS else len(names)) for layer in layers)
    for name in names[: max(last, 1)]:
        shape = as_layer(body[name]).output_shape(shape)
        if min(shape[1:]) > 1:
            spatial.append(name)
    return spatial[-1] if spatial else names[0]


def read_direction(path: Path) -> Tensor:
    """A vector of numbers in a file of numpy. Raises InceptorchError."""
    with reading(path, InceptorchError), open_regular(path) as file:
        try:
            values = np.load(file, allow_pickle=False)
        except (ValueError, EOFError):
            raise InceptorchError(
                f"Cannot read {path}: it is no array of NumPy. Try numpy.save('{path.name}', values)."
            ) from None
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "fiu":
        raise InceptorchError(f"Cannot use {path}: it holds no vector of numbers. Give one number for each channel.")
    vector = torch.from_numpy(values.astype(np.float32))
    if not bool(torch.isfinite(vector).all()) or not bool(vector.any()):
        raise InceptorchError(
            f"Cannot use {path}: it holds numbers that are not finite, or only zeros. Give a direction."
        )
    return vector


def parse_channels(text: str) -> tuple[int, ...]:
    """The numbers of `0-15,40`, without repetitions. Raises InceptorchError."""
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*", part)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise InceptorchError(f"Cannot read {part!r} as channels. Try 0-15,40.")
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    return tuple(dict.fromkeys(numbers))
