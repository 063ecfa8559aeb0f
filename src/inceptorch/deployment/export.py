"""Writing a classifier for other engines, after every one of them gave the same answers."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.config import read_config
from inceptorch.classifier.hub import load, resolve_weights
from inceptorch.deployment.quantize import Quantized, quantized
from inceptorch.errors import ExportError, did_you_mean
from inceptorch.inference.engines import Engine, EngineOutput
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.inference.engines.formats import IR
from inceptorch.inference.engines.timing import random_images
from inceptorch.inference.inputs import load_crops
from inceptorch.utils.files import atomic_write, ensure_empty, new_folder
from inceptorch.utils.progress import Progress

FORMATS = ("onnx", "openvino")
BATCHES = (1, 2, 7, 32)  # with which a file must work
PROBABILITY, MAP = 1e-5, 1e-4  # how far engines may be apart in fp32; maps relative to their largest value


@dataclass(frozen=True)
class Difference:
    """How far an engine's answers were from those of the first one, at most."""

    engine: str
    probability: float
    map: float


@dataclass(frozen=True)
class Exported:
    """A file that was written: its engines as compared with `reference`, and what 8 bits cost where they were asked for."""

    path: str
    format: str
    precision: str
    reference: str
    images: int
    differences: list[Difference]
    int8: Quantized | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def export(
    model: str | Path,
    out: str | Path,
    *,
    format: str = "onnx",
    images: str | Path | None = None,
    int8: str | Path | None = None,
    max_drop: float = 0.5,
    progress: Progress | None = None,
) -> Exported:
    """Write a bundle, a run, or published weights by name as FILE.onnx, or as a folder in OpenVINO's format.

    images   an image or a folder of them, on which the engines are compared besides random ones; of many, the first 32
    int8       labelled images: the network is computed in 8 bits, calibrated on their training part, and evaluated on the
               validation part; refused if that loses more than `max_drop` points of top-1, or is not faster here

    The answers of every installed engine are compared first, in batches of 1, 2, 7 and 32. Raises ExportError, and writes
    nothing, where they differ; ImageError if none of `images` can be read.
    """
    progress = progress or Progress()
    out, folder = Path(out), resolve_weights(model)
    _check_name(out, format)
    for module in ("openvino",) * (format == "openvino") + ("nncf",) * (int8 is not None):
        import_module(module)  # before any work is done
    graph = graph_of(folder)
    preprocessing = read_config(folder).preprocessing
    crops = random_images(preprocessing.size, max(BATCHES))
    if images is not None:
        crops = np.concatenate([crops, load_crops(Path(images), preprocessing, max(BATCHES), progress)])
    progress.info(f"comparing engines on {len(crops)} images")
    reference, differences = _compared(folder, graph, crops)
    report = None
    if int8 is not None:
        graph, report = quantized(graph, int8, max_drop, progress)
    if format == "onnx":
        atomic_write(out, lambda temporary: temporary.write_bytes(graph))
    else:
        import openvino

        from inceptorch.inference.engines.openvino import read_model

        with new_folder(out) as new:
            openvino.save_model(read_model(graph), str(new / IR), compress_to_fp16=False)
    precision = "fp32" if report is None else "int8"
    return Exported(str(out), format, precision, reference, len(crops), differences, report)


def _check_name(out: Path, format: str) -> None:
    """Raise ExportError before any work is done for a name that cannot be written."""
    if format not in FORMATS:
        raise ExportError(f"There is no format {format!r}: {did_you_mean(format, FORMATS)}")
    if format == "onnx" and out.suffix != ".onnx":
        raise ExportError(
            f"{out}: a file in this format is called something.onnx; for a folder, add --format openvino."
        )
    if format == "openvino":
        if out.suffix == ".onnx":
            raise ExportError(f"{out}: OpenVINO's format is a folder of two files; name one with --out.")
        ensure_empty(out)
    if format == "onnx" and os.path.isdir(out):
        raise ExportError(f"{out} is a folder; name a file.")
    if format == "onnx" and not out.parent.is_dir():
        raise ExportError(f"{out} cannot be written: the folder {out.parent} does not exist.")


def _compared(folder: Path, graph: bytes, crops: NDArray[np.uint8]) -> tuple[str, list[Difference]]:
    """How far the engines are from the first: torch where it is installed. Raises ExportError where one differs."""
    engines: list[Engine] = []
    if find_spec("torch") is not None:
        from inceptorch.inference.engines.torch import Torch

        engines.append(Torch(load(folder), device="cpu"))  # as the others: a GPU rounds what convolutions multiply
    for name in ("onnxruntime", "openvino"):
        if find_spec(name) is not None:
            engines.append(open_graph(graph, folder, name, "fp32", streams=1))
    first, *others = engines
    expected = first.run(crops, maps=True)
    differences = []
    for engine in others:
        for count in BATCHES:
            found = _difference(engine, crops[:count], _first(expected, count))
            _refuse_difference(found, first, engine, count)
        found = _difference(engine, crops, expected)
        _refuse_difference(found, first, engine, len(crops))
        differences.append(found)
    return first.name, differences


def _difference(engine: Engine, crops: NDArray[np.uint8], expected: EngineOutput) -> Difference:
    found = engine.run(crops, maps=True)
    apart = float(np.abs(found.probabilities - expected.probabilities).max())
    if expected.maps is None or found.maps is None or expected.map_classes is None or found.map_classes is None:
        return Difference(engine.name, apart, 0.0)
    # Classes that are equally probable may change places.
    same = expected.map_classes == found.map_classes
    scale = max(1.0, float(np.abs(expected.maps).max()))
    maps = np.abs(found.maps - expected.maps)[same]
    return Difference(engine.name, apart, float(maps.max(initial=0)) / scale)


def _refuse_difference(found: Difference, first: Engine, engine: Engine, count: int) -> None:
    # Written so that nan is refused too.
    if not (found.probability <= PROBABILITY and found.map <= MAP):
        raise ExportError(
            f"{engine.name} gives other answers than {first.name} for {count} images together: probabilities are up to "
            f"{found.probability:.2g} apart, activation maps {found.map:.2g} of their largest value. Nothing was written."
        )


def _first(output: EngineOutput, count: int) -> EngineOutput:
    """The answers to the first so many images."""
    if output.maps is None or output.map_classes is None:
        return EngineOutput(output.logits[:count], output.probabilities[:count])
    return EngineOutput(
        output.logits[:count], output.probabilities[:count], output.maps[:count], output.map_classes[:count]
    )
