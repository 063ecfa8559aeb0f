"""The interface of engines, which execute a classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import ClassifierConfig
from inceptorch.errors import BundleError, EngineError
from inceptorch.images.boxes import Boxes
from inceptorch.networks.detection import MAX_BOXES
from inceptorch.utils.arrays import Floats


@dataclass(frozen=True)
class EngineOutput:
    """The outputs of a network for N crops.

    logits         [N, classes]; their softmax is the probabilities
    probabilities  float32 [N, classes]
    maps           float32 [N, K, h, w], unscaled class activation maps of the K = min(5, classes) most probable
                   classes; None unless requested, and for a head without them
    map_classes    int64 [N, K], the classes of the maps, the most probable first
    features       float32 [N, num_features], what the last linear layer receives; None unless requested
    """

    logits: Floats
    probabilities: NDArray[np.float32]
    maps: NDArray[np.float32] | None = None
    map_classes: NDArray[np.int64] | None = None
    features: NDArray[np.float32] | None = None

    @classmethod
    def of_probabilities(cls, probabilities: NDArray[np.float32], *maps: NDArray[Any]) -> EngineOutput:
        """From probabilities; the logarithm of 0 is that of the smallest float32."""
        return cls(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)), probabilities, *maps)


class Engine(ABC):
    """A classifier that can be executed.

    name             "torch", "onnxruntime" or "openvino"
    precision        "fp32", "bf16" or "int8"
    batch_size       best number of crops per call
    max_concurrency  number of threads whose calls keep the machine busy
    source           a classifier, the bytes of a graph, or a file
    """

    name: str
    max_concurrency: int = 1

    def __init__(
        self, config: ClassifierConfig, source: Classifier | bytes | Path, precision: str, batch_size: int
    ) -> None:
        self.config, self.source, self.precision, self.batch_size = config, source, precision, batch_size

    @abstractmethod
    def run(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        """The outputs for uint8 RGB crops [N, S, S, 3]; safe to call from several threads. Raises EngineError for a
        detector."""

    def run_with_features(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        """As `run`, with features, in one pass. Raises EngineError for engines that keep none."""
        raise EngineError(f"Cannot give the features of images with {self.name}. Try --engine torch with a bundle.")

    def detect(self, images: NDArray[np.uint8]) -> list[Boxes]:
        """A detector's answers for uint8 RGB images [N, height, width, 3], in their pixels, best first; safe to call
        from several threads. Raises EngineError for a classifier."""
        raise NotImplementedError

    def _require(self, *, detector: bool) -> None:
        """Raise EngineError unless this is a detector, or unless it is a classifier."""
        if detector and self.config.detection is None:
            raise EngineError("Cannot find boxes with a classifier. Name a run that was trained on boxes.")
        if not detector and self.config.detection is not None:
            raise EngineError("Cannot classify with a detector, which finds boxes. Name a run of images with classes.")

    def __str__(self) -> str:
        return f"{self.name} {self.precision}"


@contextmanager
def executing(name: str | Path, engine: str) -> Iterator[None]:
    """Raise EngineError where a library cannot execute the graph `name`, as for a lack of memory."""
    try:
        yield
    except Exception as error:  # in kinds that differ between libraries and their versions
        raise EngineError(f"Cannot execute {name} with {engine}: {' '.join(str(error).split())[:200]}.") from error


def boxes_of_images(
    count: int,
    config: ClassifierConfig,
    file: str | Path,
    xyxy: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    images: NDArray[np.int64],
) -> list[Boxes]:
    """The boxes of each of `count` images, best first and at most MAX_BOXES, from the outputs of an exported detector.

    Raises BundleError for a class that its metadata does not name, as no output's shape tells their number."""
    last = int(labels.max(initial=0))
    if last >= len(config.classes):
        raise BundleError(
            f"{file} contradicts itself: it found class {last}, while its metadata names {len(config.classes)} "
            "classes. Export it again."
        )
    order = np.argsort(-scores, kind="stable")
    found = []
    for image in range(count):
        kept = order[images[order] == image][:MAX_BOXES]
        found.append(Boxes.of(xyxy[kept], labels[kept], scores[kept]))
    return found


def channels_first(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crops [N, S, S, 3] as [N, 3, S, S], the input of exported files."""
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
