"""A model as the server uses it: images become inputs of its engine, and outputs become answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray
from PIL import Image

from inceptorch.errors import NonFiniteOutputError, ServeError
from inceptorch.images.boxes import Boxes, joined
from inceptorch.images.letterbox import Letterbox
from inceptorch.images.preprocessing import ImageArray
from inceptorch.inference.boxes import BoxPredictor, score_threshold
from inceptorch.inference.distance import FeatureDistance, distance_of
from inceptorch.inference.engines import Engine
from inceptorch.inference.options import DEFAULT_TOP
from inceptorch.inference.predictor import top_classes
from inceptorch.networks.onnx_detector import BOXES, IMAGE, LABELS, SCORES
from inceptorch.networks.onnx_graph import MAP_CLASSES, MAPS, PROBABILITIES
from inceptorch.serve.dynamic_batcher import SingleOutput, run_batch


class Parameters(NamedTuple):
    """Those of /predict; None where a request has none."""

    top: int | None = None
    maps: bool = False
    min_confidence: float | None = None


class ServedModel(ABC):
    """A model with a warm engine. Its inputs and outputs are of one image each.

    task             "classes" or "boxes"
    width, height    of the network's images
    datatypes        those of the tensors in an answer, as the Open Inference Protocol calls them
    """

    task: str
    datatypes: dict[str, str]

    def __init__(self, engine: Engine, width: int, height: int):
        self.engine, self.width, self.height = engine, width, height

    @abstractmethod
    def prepare(self, image: Image.Image) -> Any:
        """The input for an upright RGB image."""

    @abstractmethod
    def of_pixels(self, pixels: ImageArray) -> Any:
        """The input for uint8 [height, width, 3], as a client prepared it."""

    @abstractmethod
    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The output for each input. Raises NonFiniteOutputError."""

    @abstractmethod
    def check(self, output: Any) -> None:
        """Raise NonFiniteOutputError for an output of a batch that is not finite."""

    def check_parameters(self, parameters: Parameters) -> None:
        """Raise HTTPException 422 for one that does not apply."""
        return

    @abstractmethod
    def answer(self, output: Any, parameters: Parameters, size: tuple[int, int]) -> dict[str, Any]:
        """What an entry has beside its file, for an image of this width and height."""

    def is_far(self, output: Any) -> bool:
        """Whether an image is out of distribution, where that is known."""
        return False

    @abstractmethod
    def tensors(self, outputs: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """The outputs for N images as arrays by name: [N, ...], or of a detector, [boxes, ...]."""

    def about(self, example: Any) -> dict[str, Any]:
        """What /about tells of this kind of model alone."""
        return {}


class ServedClassifier(ServedModel):
    """A classifier with center crops, and the distance of each image where it is given. An input is a crop, and an
    output a `SingleOutput`."""

    task = "classes"
    datatypes = {PROBABILITIES: "FP32", MAPS: "FP32", MAP_CLASSES: "INT64"}  # noqa: RUF012

    def __init__(self, engine: Engine, distance: FeatureDistance | None = None):
        super().__init__(engine, engine.config.preprocessing.size, engine.config.preprocessing.size)
        self.distance = distance

    def prepare(self, image: Image.Image) -> ImageArray:
        return self.engine.config.preprocessing.apply(image)

    def of_pixels(self, pixels: ImageArray) -> ImageArray:
        return pixels

    def run(self, inputs: Sequence[ImageArray]) -> list[SingleOutput]:
        return run_batch(self.engine, inputs, self.distance)

    def check(self, output: SingleOutput) -> None:
        if not np.isfinite(output.probabilities).all():
            raise NonFiniteOutputError

    def answer(self, output: SingleOutput, parameters: Parameters, size: tuple[int, int]) -> dict[str, Any]:
        config, top = self.engine.config, parameters.top or DEFAULT_TOP
        answer: dict[str, Any] = {"predictions": top_classes(output.probabilities.tolist(), config.classes, top)}
        if parameters.min_confidence is not None:
            answer["unknown"] = float(output.probabilities.max()) < parameters.min_confidence
        if self.distance is not None and output.distance is not None:
            answer |= self.distance.entry(output.distance)
        if parameters.maps:
            width, height = size
            answer["maps"] = [] if output.maps is None else _rounded(output.maps)
            answer["map_classes"] = [] if output.map_classes is None else output.map_classes.tolist()
            answer |= {"box": list(config.preprocessing.box(width, height)), "width": width, "height": height}
        return answer

    def is_far(self, output: SingleOutput) -> bool:
        return self.distance is not None and bool(self.distance.entry(output.distance or 0.0)["out_of_distribution"])

    def tensors(self, outputs: Sequence[SingleOutput]) -> dict[str, NDArray[Any]]:
        columns = zip(self.datatypes, zip(*(output[:3] for output in outputs), strict=True), strict=True)
        return {name: np.stack(column) for name, column in columns if column[0] is not None}

    def about(self, example: SingleOutput) -> dict[str, Any]:
        return {"has_maps": example.maps is not None}


class ServedDetector(ServedModel):
    """A detector. An input is a `Letterbox`, and an output the `Boxes` in the pixels of its original."""

    task = "boxes"
    datatypes = {BOXES: "FP32", SCORES: "FP32", LABELS: "INT64", IMAGE: "INT64"}  # noqa: RUF012

    def __init__(self, engine: Engine):
        self._predictor = BoxPredictor(engine)
        super().__init__(engine, self._predictor.head.width, self._predictor.head.height)

    def prepare(self, image: Image.Image) -> Letterbox:
        return self._predictor.prepare(image)

    def of_pixels(self, pixels: ImageArray) -> Letterbox:
        return Letterbox(pixels, (1.0, 1.0), (self.width, self.height))

    def run(self, inputs: Sequence[Letterbox]) -> list[Boxes]:
        return self._predictor.detect(list(inputs))

    def check(self, output: Boxes) -> None:
        """`run` has done it."""

    def check_parameters(self, parameters: Parameters) -> None:
        if parameters.top is not None:
            raise HTTPException(422, "Parameter top: it is for classifiers. Try min_confidence with this detector.")

    def answer(self, output: Boxes, parameters: Parameters, size: tuple[int, int]) -> dict[str, Any]:
        config, threshold = self.engine.config, parameters.min_confidence
        threshold = score_threshold(config) if threshold is None else threshold
        answer: dict[str, Any] = {"boxes": [box for box in output.to_json(config.classes) if box["score"] >= threshold]}
        if parameters.maps:
            answer |= {"width": size[0], "height": size[1]}
        return answer

    def tensors(self, outputs: Sequence[Boxes]) -> dict[str, NDArray[Any]]:
        every = joined(outputs)
        image = np.repeat(np.arange(len(outputs)), [len(boxes) for boxes in outputs])
        return {BOXES: every.xyxy.astype(np.float32), SCORES: every.scores, LABELS: every.labels, IMAGE: image}

    def about(self, example: Boxes) -> dict[str, Any]:
        return {"threshold": score_threshold(self.engine.config)}


def _rounded(maps: NDArray[np.float32]) -> list[list[list[float]]]:
    """Numbers to 4 significant digits, which is finer than any color."""
    return [[[float(f"{value:.4g}") for value in row] for row in rows] for rows in maps.tolist()]


def served(engine: Engine, distance: bool = False) -> ServedModel:
    """The model of an engine, by what it answers with. Raises ServeError for the distance of a detector's images, and
    BundleError or EngineError for a model that cannot tell them."""
    if engine.config.detection is not None:
        if distance:
            raise ServeError("Cannot tell distances with a detector. Try serve without --distance.")
        return ServedDetector(engine)
    return ServedClassifier(engine, distance_of(engine) if distance else None)
