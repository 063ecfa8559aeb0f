"""Explaining a classifier's predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inceptorch.classifier import Classifier, TopClass
from inceptorch.classifier.classes import find_class
from inceptorch.classifier.hub import load
from inceptorch.errors import BundleError, InceptorchError, NonFiniteOutputError, did_you_mean
from inceptorch.explanation.gradcam import gradcam
from inceptorch.explanation.gradients import integrated_gradients, is_complete
from inceptorch.explanation.grid import Map
from inceptorch.explanation.occlusion import occlusion
from inceptorch.explanation.split_model import default_layer
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import is_one_image, load_image
from inceptorch.images.preprocessing import ImageArray
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.inference.pipeline import in_batches
from inceptorch.inference.predictor import Predictor, top_classes
from inceptorch.utils.progress import Progress

METHODS = ("gradcam", "integrated-gradients", "occlusion")


@dataclass(frozen=True, eq=False)
class Explanation:
    """The prediction for an image, and the evidence for one class.

    predictions   the most probable classes, best first
    label         the explained class, with its index and probability
    method        one of METHODS
    layer         the explained layer of the body; None: the pixels
    map           float32 [h, w] over the crop, in the method's own unit
    difference    in logits, which the map of integrated gradients should sum to; None for the other methods
    crop          uint8 [S, S, 3], what the network saw
    box           left, top, right and bottom of the crop in the upright image, in its pixels
    """

    predictions: list[TopClass]
    label: str
    index: int
    probability: float
    method: str
    layer: str | None
    map: Map
    difference: float | None
    crop: ImageArray
    box: tuple[float, float, float, float]

    @property
    def peak(self) -> tuple[float, float] | None:
        """The center of the map's highest cell in the upright image, x and y in pixels; None if the map holds no
        evidence for the class."""
        if self.map.max() <= 0:
            return None
        y, x = np.unravel_index(self.map.argmax(), self.map.shape)
        left, top, right, bottom = self.box
        height, width = self.map.shape
        return left + (right - left) * (int(x) + 0.5) / width, top + (bottom - top) * (int(y) + 0.5) / height

    @property
    def complete(self) -> bool:
        """Whether the map sums to the difference in logits, within `gradients.TOLERANCE`."""
        return self.difference is None or is_complete(self.map, self.difference)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: all values but the crop, and the map's size [h, w], maximum and peak."""

        def shortest(value: Any) -> float:  # the fewest digits that identify a float32
            return float(str(value))

        values = asdict(self) | {"size": list(self.map.shape), "maximum": shortest(self.map.max()), "peak": self.peak}
        values["map"] = [[shortest(value) for value in line] for line in self.map]
        del values["crop"]
        return values


def explain(
    model: Classifier | str | Path,
    images: ImageInput | Iterable[ImageInput],
    *,
    method: str = "gradcam",
    layer: str | None = None,
    target: str | int | None = None,
    top: int = 5,
    progress: Progress | None = None,
) -> list[Explanation]:
    """The evidence for a class in every image. Images are what `Classifier.predict` takes.

    method   one of METHODS
    layer    a layer of the body; by default `default_layer` for Grad-CAM, the pixels for the other methods
    target   the class, by name or index; by default each image's most probable one
    top      number of predictions for each image

    Raises ImageError for an unreadable image, TableError for an unknown layer and BundleError for an unknown class or
    a detector.
    """
    if method not in METHODS:
        raise InceptorchError(f"There is no method {method!r}: {did_you_mean(method, METHODS)}")
    classifier = model if isinstance(model, Classifier) else load(model).to_best_device()
    if classifier.config.detection is not None:
        raise BundleError("Cannot explain a detector: it answers with boxes. Try inceptorch predict --draw FOLDER.")
    if layer is None and method == "gradcam":
        layer = default_layer(classifier.model.net, classifier.preprocessing.size)
    index = None if target is None else find_class(classifier.classes, target)
    several = [images] if is_one_image(images) else list(images)  # type: ignore[arg-type]
    explained: list[Explanation] = []
    tracked = (progress or Progress(quiet=True)).track(several, len(several), "explaining")
    for batch in in_batches(tracked, BATCH_SIZES["torch"]):
        explained += _explain(classifier, [load_image(image) for image in batch], method, layer, index, top)
    return explained


def _explain(
    classifier: Classifier, images: list[Image.Image], method: str, layer: str | None, index: int | None, top: int
) -> list[Explanation]:
    """One batch of upright images."""
    crops = [classifier.preprocessing.apply(image) for image in images]
    engine = Predictor.of(classifier, device=next(classifier.model.parameters()).device).engine
    probabilities = engine.run(np.stack(crops)).probabilities.tolist()
    targets = [int(np.argmax(row)) if index is None else index for row in probabilities]
    maps: Sequence[tuple[Map, float | None]]
    if method == "gradcam":
        maps = [(map, None) for map in gradcam(classifier, crops, targets, layer)]
    elif method == "occlusion":
        maps = [(occlusion(classifier, *each, layer), None) for each in zip(crops, targets, strict=True)]
    else:
        maps = [integrated_gradients(classifier, *each, layer) for each in zip(crops, targets, strict=True)]
    if not (np.isfinite(probabilities).all() and all(np.isfinite(map).all() for map, _ in maps)):
        raise NonFiniteOutputError
    return [
        Explanation(
            predictions=top_classes(row, classifier.classes, top),
            label=classifier.classes[target],
            index=target,
            probability=row[target],
            method=method,
            layer=layer,
            map=map,
            difference=difference,
            crop=crop,
            box=classifier.preprocessing.box(*image.size),
        )
        for row, target, (map, difference), crop, image in zip(probabilities, targets, maps, crops, images, strict=True)
    ]
