"""Comparison of engines on the same images, before a file is written."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.hub import load
from inceptorch.errors import ExportError
from inceptorch.inference.engines import Engine, EngineOutput
from inceptorch.inference.engines.factory import open_graph

BATCH_SIZES = (1, 2, 7, 32)  # with which a file must work
MAX_PROBABILITY, MAX_MAP = 1e-5, 1e-4  # differences of engines in fp32; of maps, relative to the largest value
# Bounds of int8. On 32 photographs GoogLeNet's sums are off by less than 1e-6, probabilities and maps by 0.04: a graph
# beyond these is broken, not rounded.
MAX_SUM, MAX_INT8_PROBABILITY, MAX_INT8_MAP = 0.01, 0.2, 0.2


@dataclass(frozen=True)
class Difference:
    """The differences of an engine's outputs from those of the reference.

    probability  in fp32 the largest of any class; in int8 half the sum over the classes, averaged over the images
    map          relative to the largest value of the maps; in int8, averaged over the images
    """

    engine: str
    probability: float
    map: float


def graph_engines() -> list[str]:
    """The installed engines that execute exported files."""
    return [name for name in ("onnxruntime", "openvino") if find_spec(name) is not None]


def fp32_engines(folder: Path, graph: bytes) -> list[Engine]:
    """Every installed engine: torch with the bundle, and the others with its graph."""
    engines: list[Engine] = []
    if find_spec("torch") is not None:
        from inceptorch.inference.engines.torch import Torch

        engines.append(Torch(load(folder), device="cpu"))  # as the others: a GPU rounds convolutions to TF32
    return engines + [open_graph(graph, folder, name, "fp32", streams=1) for name in graph_engines()]


def compare_fp32(folder: Path, graph: bytes, crops: NDArray[np.uint8]) -> tuple[str, list[Difference]]:
    """The first engine (torch if installed) and the others' differences. Raises ExportError if one is too large."""
    first, *others = fp32_engines(folder, graph)
    expected = first.run(crops, maps=True)
    differences = []
    for engine in others:
        for count in (*BATCH_SIZES, len(crops)):
            probabilities, maps = _apart(engine.run(crops[:count], maps=True), expected)
            found = Difference(engine.name, float(probabilities.max()), float(maps.max()))
            if not (found.probability <= MAX_PROBABILITY and found.map <= MAX_MAP):  # nan is refused too
                raise ExportError(
                    f"Cannot export: {engine.name} disagrees with {first.name} on a batch of {count} images. "
                    f"Probabilities differ by up to {found.probability:.2g}, activation maps by {found.map:.2g} of "
                    "their largest value."
                )
        differences.append(found)
    return first.name, differences


def compare_int8(fp32: Engine, graph: bytes, crops: NDArray[np.uint8]) -> list[Difference]:
    """The differences of a graph in int8 from fp32, on every installed engine. Raises ExportError if one is larger than
    rounding to int8 explains, or if probabilities do not add up to 1."""
    expected = fp32.run(crops, maps=True)
    differences = []
    for name in graph_engines():
        output = open_graph(graph, "the int8 graph", name, streams=1).run(crops, maps=True)
        off = float(np.abs(output.probabilities.sum(1) - 1).max())
        probabilities, maps = _apart(output, expected)
        found = Difference(name, float(probabilities.sum(1).mean()) / 2, float(maps.mean()))
        if not (off <= MAX_SUM and found.probability <= MAX_INT8_PROBABILITY and found.map <= MAX_INT8_MAP):
            raise ExportError(
                f"Cannot export in int8: on {name}, probabilities differ from fp32 by {found.probability:.2g} on "
                f"average and add up to 1 within {off:.2g}. Activation maps differ by {found.map:.2g} of their largest "
                "value. Nothing was written. Try exporting without --int8."
            )
        differences.append(found)
    return differences


def _apart(found: EngineOutput, expected: EngineOutput) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Absolute differences from the expected output, which may be of more crops: of probabilities [N, classes], and the
    largest of each image's maps [N]. The latter are relative to the largest value of all maps."""
    count = len(found.probabilities)
    probabilities = np.abs(found.probabilities - expected.probabilities[:count])
    if expected.maps is None or found.maps is None or expected.map_classes is None or found.map_classes is None:
        return probabilities, np.zeros(count, np.float32)
    same = expected.map_classes[:count] == found.map_classes  # equally probable classes may be in another order
    maps = expected.maps[:count]
    scale = max(1.0, float(np.abs(maps).max()))
    apart = np.abs(found.maps - maps).max((2, 3)) * same
    return probabilities, apart.max(1) / scale
