"""What executes a classifier."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.evaluation.metrics import Floats
from inceptorch.images.preprocessing import Pixels
from inceptorch.networks.network import NetworkSpec


@dataclass(frozen=True)
class Answer:
    """What a network says of N pictures.

    probabilities  float32 [N, classes]
    maps           float32 [N, K, h, w], the class activation maps of the K = min(5, classes) most probable classes,
                   unscaled; None for a head that has none
    map_classes    int64 [N, K], the classes that they are of, the most probable first
    """

    probabilities: NDArray[np.float32]
    maps: NDArray[np.float32] | None = None
    map_classes: NDArray[np.int64] | None = None


class Engine(typing.Protocol):
    """A classifier that can be executed.

    name       "torch", "onnxruntime" or "openvino"
    precision  "fp32", "bf16" or "int8"
    batch      how many pictures best go together
    source     what is executed: a classifier, the bytes of a graph, or a file
    at_once    how many calls at once, from as many threads, keep the machine busy
    """

    name: str
    precision: str
    batch: int
    at_once: int
    net: NetworkSpec
    pixels: Pixels
    classes: list[str]
    about: dict[str, Any]

    @property
    def source(self) -> Classifier | bytes | Path: ...

    def answer(self, squares: NDArray[np.uint8]) -> Answer:
        """What the network says of uint8 RGB squares [N, S, S, 3]; called from several threads at once."""
        ...

    def logits(self, squares: NDArray[np.uint8]) -> Floats:
        """[N, classes], whose softmax is the probabilities, of uint8 RGB squares [N, S, S, 3]."""
        ...


def logarithms(probabilities: NDArray[np.float32]) -> Floats:
    """Logits that amount to these probabilities; those too small for their number format become the smallest it has."""
    found: Floats = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return found


def described(engine: Engine) -> str:
    """An engine and how it computes, in words."""
    return f"{engine.name} {engine.precision}"


def channels_first(squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squares [N, S, S, 3] as an exported file takes them: [N, 3, S, S]."""
    return np.ascontiguousarray(squares.transpose(0, 3, 1, 2))
