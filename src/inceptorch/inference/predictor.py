"""From images to predictions: the only path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.classifier.classifier import Classifier, TopClass
from inceptorch.errors import BundleError, ImageError, InceptorchError, NonFiniteOutputError
from inceptorch.images.crops import CENTER, CropProtocol, Crops
from inceptorch.images.inputs import load_image
from inceptorch.inference.distance import FeatureDistance
from inceptorch.inference.engines.base import Engine, EngineOutput
from inceptorch.inference.pipeline import map_batches
from inceptorch.utils.arrays import Floats, log_softmax

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for one image: log probabilities averaged over its crops, or why it cannot be read; and its
    distance from the training images, where that was requested."""

    source: Any
    classes: Sequence[str]
    result: NDArray[np.float32] | ImageError
    distance: float | None = None

    @property
    def error(self) -> ImageError | None:
        return self.result if isinstance(self.result, ImageError) else None

    @property
    def log_probabilities(self) -> NDArray[np.float32]:
        """[classes]. Raises ImageError for an image that cannot be read."""
        if isinstance(self.result, ImageError):
            raise self.result
        return self.result

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """[classes]. Raises ImageError for an image that cannot be read."""
        probabilities: NDArray[np.float32] = np.exp(self.log_probabilities)
        return probabilities

    def top(self, count: int = 5) -> list[TopClass]:
        """The most probable classes, best first. Raises ImageError for an image that cannot be read."""
        return top_classes(self.probabilities.tolist(), self.classes, count)


class Predictor:
    """An engine with a crop protocol.

    batch_size  crops per batch; by default the engine's
    threads     threads that decode images and wait for the engine; by default one per core
    distance    of an image's features, for center crops
    """

    def __init__(
        self,
        engine: Engine,
        crops: CropProtocol = CENTER,
        batch_size: int | None = None,
        threads: int | None = None,
        distance: FeatureDistance | None = None,
    ) -> None:
        if engine.config.detection is not None:
            raise BundleError("Cannot classify with a detector. Try inceptorch.predict, which gives its boxes.")
        self.engine, self.crops, self.threads, self.distance = engine, crops, threads, distance
        self.batch_size = batch_size or engine.batch_size

    @classmethod
    def of(cls, classifier: Classifier, precision: str = "fp32", *, device: Any = None) -> Predictor:
        """A classifier on torch, with center crops, by default on the GPU if there is one."""
        from inceptorch.inference.engines.torch import Torch

        return cls(Torch(classifier, precision, device=device))

    @property
    def images_per_batch(self) -> int:
        return max(1, self.batch_size // self.crops.count)

    def stream(self, images: Iterable[Item], read: Callable[[Item], Image.Image] = load_image) -> Iterator[Prediction]:
        """The prediction for every image, in order; `read` gives the upright RGB image of an item.

        Images are read and predicted in parallel, a few batches ahead. An ImageError that `read` raises is the result
        of its image. Raises NonFiniteOutputError.
        """
        config = self.engine.config

        def predict(items: list[Item]) -> list[Prediction]:
            inputs: list[Crops | ImageError] = []
            for item in items:
                try:
                    inputs.append(self.crops.apply(read(item), config.preprocessing))
                except ImageError as error:
                    inputs.append(error)
            crops = [each for each in inputs if isinstance(each, Crops)]
            answers = iter(self._answers(crops) if crops else ())
            return [
                Prediction(item, config.classes, *((each, None) if isinstance(each, ImageError) else next(answers)))
                for item, each in zip(items, inputs, strict=True)
            ]

        for predictions in map_batches(self.engine, predict, images, self.images_per_batch, self.threads):
            yield from predictions

    def log_probabilities(self, images: Sequence[Crops]) -> Floats:
        """Logarithms of the probabilities averaged over the crops of N images, float32 [N, classes]."""
        return self._averaged(images, [self.engine.run(batch) for batch in self._batches(images)])

    def _answers(self, images: Sequence[Crops]) -> Iterable[tuple[Floats, float | None]]:
        """Log probabilities and, where requested, the distance of each image."""
        if self.distance is None:
            return ((logs, None) for logs in self.log_probabilities(images))
        outputs = [self.engine.run_with_features(batch) for batch in self._batches(images)]
        distances = self.distance(np.concatenate([each.features for each in outputs if each.features is not None]))
        return zip(self._averaged(images, outputs), distances.tolist(), strict=True)

    def _batches(self, images: Sequence[Crops]) -> list[NDArray[np.uint8]]:
        crops = np.concatenate([each.images for each in images])
        return [crops[start : start + self.batch_size] for start in range(0, len(crops), self.batch_size)]

    def _averaged(self, images: Sequence[Crops], outputs: Sequence[EngineOutput]) -> Floats:
        weights = np.concatenate([each.weights for each in images])[:, None]
        counts = [len(each.images) for each in images]
        starts = np.cumsum([0, *counts[:-1]])
        logs = log_softmax(np.concatenate([each.logits for each in outputs]))
        # Relative to the largest, as exp(-800) is 0 and has no logarithm.
        highest = np.maximum.reduceat(logs, starts)
        fractions = np.exp(logs - np.repeat(highest, counts, axis=0))
        averaged: Floats = (highest + np.log(np.add.reduceat(weights * fractions, starts))).astype(np.float32)
        if not np.isfinite(np.exp(averaged)).all():
            raise NonFiniteOutputError
        return averaged


def top_classes(probabilities: Sequence[float], classes: Sequence[str], count: int) -> list[TopClass]:
    """The `count` most probable classes, best first; equal ones in the order of the class list.

    Raises InceptorchError for a `count` that is no whole number above 0."""
    if not isinstance(count, int | np.integer) or count < 1:
        raise InceptorchError(f"Cannot give the top {count!r} classes: it must be a whole number above 0. Try top=5.")
    order = sorted(range(len(classes)), key=lambda index: (-probabilities[index], index))[:count]
    return [TopClass(label=classes[index], index=index, probability=probabilities[index]) for index in order]
