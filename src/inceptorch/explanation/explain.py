"""Explaining a classifier's answers to images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inceptorch.classifier import Classifier, TopClass
from inceptorch.classifier.hub import load
from inceptorch.errors import InceptorchError, NonFiniteOutputError, did_you_mean
from inceptorch.explanation.classes import find_class
from inceptorch.explanation.gradcam import gradcam
from inceptorch.explanation.gradients import integrated_gradients, near
from inceptorch.explanation.grid import Map
from inceptorch.explanation.occlusion import occlusion
from inceptorch.explanation.split_model import default_row
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
    """What a network said of an image, and where it looked for one class.

    predictions   the most probable classes, best first
    label         the class that is explained, its index and its probability
    method        one of METHODS
    row           the row of the body that was looked at; None: the pixels
    map           float32 [h, w] over the square, in the method's own unit
    difference    in logits, that the map of integrated gradients should sum to; None for the other methods
    square        uint8 [S, S, 3], what the network saw
    box           left, top, right and bottom of the square in the upright image, in its pixels
    """

    predictions: list[TopClass]
    label: str
    index: int
    probability: float
    method: str
    row: str | None
    map: Map
    difference: float | None
    crop: ImageArray
    box: tuple[float, float, float, float]

    @property
    def peak(self) -> tuple[float, float] | None:
        """The middle of the map's highest cell in the upright image, x and y in its pixels; None if nothing in the
        map speaks for the class."""
        if self.map.max() <= 0:
            return None
        y, x = np.unravel_index(self.map.argmax(), self.map.shape)
        left, top, right, bottom = self.box
        height, width = self.map.shape
        return left + (right - left) * (int(x) + 0.5) / width, top + (bottom - top) * (int(y) + 0.5) / height

    @property
    def complete(self) -> bool:
        """Whether the map sums to what it should, as nearly as `gradients.TOLERANCE` asks."""
        return self.difference is None or near(float(self.map.sum()), self.difference)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: all but the square, with the map as a grid of rows, its size [h, w] and its maximum."""
        return {
            "predictions": self.predictions,
            "label": self.label,
            "index": self.index,
            "probability": self.probability,
            "method": self.method,
            "row": self.row,
            "size": list(self.map.shape),
            "map": [[_shortest(value) for value in line] for line in self.map],
            "maximum": _shortest(self.map.max()),
            "difference": self.difference,
            "peak": self.peak,
            "box": self.box,
        }


def explain(
    model: Classifier | str | Path,
    images: ImageInput | Iterable[ImageInput],
    *,
    method: str = "gradcam",
    row: str | None = None,
    wanted: str | int | None = None,
    top: int = 5,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Where a network looked for class `wanted` (its name or index; the first answer by default) in every image.

    Images are what `Classifier.predict` takes. `row` names a row of the body; by default Grad-CAM looks at that of
    `default_row`, the other methods at the pixels. `top` is how many answers go with each. Raises ImageError for a
    image that cannot be read, TableError for a row and BundleError for a class that there is not.
    """
    if method not in METHODS:
        raise InceptorchError(f"There is no method {method!r}: {did_you_mean(method, METHODS)}")
    classifier = model if isinstance(model, Classifier) else load(model).to_best_device()
    if row is None and method == "gradcam":
        row = default_row(classifier.model.net, classifier.preprocessing.size)
    index = None if wanted is None else find_class(classifier.classes, wanted)
    several = [images] if is_one_image(images) else list(images)  # type: ignore[arg-type]
    explained: list[Explanation] = []
    tracked = (progress or Progress(quiet=True)).track(several, len(several), "explaining")
    for batch in in_batches(tracked, BATCH_SIZES["torch"]):
        explained += _explain(classifier, [load_image(image) for image in batch], method, row, index, top)
    return explained


def _explain(
    classifier: Classifier, images: list[Image.Image], method: str, row: str | None, index: int | None, top: int
) -> list[Explanation]:
    """One batch of upright images."""
    crops = [classifier.preprocessing.apply(image) for image in images]
    engine = Predictor.of(classifier, device=next(classifier.model.parameters()).device).engine
    probabilities = engine.run(np.stack(crops)).probabilities.tolist() if crops else []
    classes = [int(np.argmax(one)) if index is None else index for one in probabilities]
    maps = _maps(classifier, crops, classes, method, row)
    if not (np.isfinite(probabilities).all() and all(np.isfinite(found).all() for found, _ in maps)):
        raise NonFiniteOutputError
    return [
        Explanation(
            predictions=top_classes(one, classifier.classes, top),
            label=classifier.classes[chosen],
            index=chosen,
            probability=one[chosen],
            method=method,
            row=row,
            map=found,
            difference=difference,
            crop=crop,
            box=classifier.preprocessing.box(*image.size),
        )
        for one, chosen, (found, difference), crop, image in zip(
            probabilities, classes, maps, crops, images, strict=True
        )
    ]


def _maps(
    classifier: Classifier, crops: list[ImageArray], classes: list[int], method: str, row: str | None
) -> Sequence[tuple[Map, float | None]]:
    """For each square the map of its class and, where the method says so, what that should sum to."""
    if method == "gradcam":
        return [(found, None) for found in gradcam(classifier, crops, classes, row)]
    each = list(zip(crops, classes, strict=True))
    if method == "occlusion":
        return [(occlusion(classifier, crop, index, row), None) for crop, index in each]
    return [integrated_gradients(classifier, crop, index, row) for crop, index in each]


def _shortest(value: Any) -> float:
    """A float32 with as few digits as tell it from its neighbors."""
    return float(str(value))
