"""Export to other engines, after checking that their outputs agree."""

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
from inceptorch.deployment.quantize import QuantizationReport, quantize
from inceptorch.errors import ExportError, did_you_mean
from inceptorch.inference.engines import Engine, EngineOutput
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.inference.engines.formats import IR
from inceptorch.inference.engines.timing import random_images
from inceptorch.inference.inputs import load_crops
from inceptorch.utils.files import atomic_write, ensure_empty, new_folder
from inceptorch.utils.progress import Progress

FORMATS = ("onnx", "openvino")
BATCH_SIZES = (1, 2, 7, 32)  # with which a file must work
MAX_PROBABILITY, MAX_MAP = 1e-5, 1e-4  # differences of engines in fp32; of maps, relative to the largest value


@dataclass(frozen=True)
class Difference:
    """The largest differences of an engine's outputs from those of the reference."""

    engine: str
    probability: float
    map: float


@dataclass(frozen=True)
class ExportResult:
    """An exported file, the engines compared with `reference` on `images` images, and the report on int8, if any."""

    path: str
    format: str
    precision: str
    reference: str
    images: int
    differences: list[Difference]
    int8: QuantizationReport | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def export(
    model: str | Path,
    out: str | Path | None = None,
    *,
    format: str = "onnx",
    images: str | Path | None = None,
    int8: str | Path | None = None,
    max_drop: float = 0.5,
    progress: Progress | None = None,
) -> ExportResult:
    """Write a bundle, a run, or published weights as FILE.onnx, or as a folder in OpenVINO's format.

    out      by default the model's name, with .onnx or -openvino, in the current folder
    images   an image or a folder, to compare engines on besides random images; the first 32 are used
    int8     labeled images: quantizes the network, calibrated on their training split and evaluated on the validation
             split; refused if top-1 drops by more than `max_drop` points or int8 is not faster here

    Every installed engine is compared first, with batches of 1, 2, 7 and 32. Raises ExportError, and writes nothing, if
    they disagree; ImageError if none of `images` can be read.
    """
    progress, folder = progress or Progress(), resolve_weights(model)
    if format not in FORMATS:
        raise ExportError(f"There is no format {format!r}: {did_you_mean(format, FORMATS)}")
    out = Path(out or Path(model).resolve().name + {"onnx": ".onnx", "openvino": "-openvino"}[format])
    _check_name(out, format)
    for module in ("openvino",) * (format == "openvino") + ("nncf",) * (int8 is not None):
        import_module(module)  # before any work is done
    graph = graph_of(folder)
    preprocessing = read_config(folder).preprocessing
    crops = random_images(preprocessing.size, max(BATCH_SIZES))
    if images is not None:
        crops = np.concatenate([crops, load_crops(Path(images), preprocessing, max(BATCH_SIZES), progress)])
    progress.info(f"comparing engines on {len(crops)} images")
    reference, differences = _compare(folder, graph, crops)
    report = None
    if int8 is not None:
        graph, report = quantize(graph, int8, max_drop, progress)
    if format == "onnx":
        atomic_write(out, lambda temporary: temporary.write_bytes(graph))
    else:
        import openvino

        from inceptorch.inference.engines.openvino import read_model

        with new_folder(out) as new:
            openvino.save_model(read_model(graph), str(new / IR), compress_to_fp16=False)
    precision = "fp32" if report is None else "int8"
    return ExportResult(str(out), format, precision, reference, len(crops), differences, report)


def _check_name(out: Path, format: str) -> None:
    """Raise ExportError for a name that cannot be written."""
    if format == "openvino":
        if out.suffix == ".onnx":
            raise ExportError(f"Cannot write {out}: OpenVINO's format is a folder of two files. Try another --out.")
        ensure_empty(out)
        return
    if out.suffix != ".onnx":
        raise ExportError(f"Cannot write {out}: the name must end in .onnx. For a folder, add --format openvino.")
    if os.path.isdir(out):
        raise ExportError(f"Cannot write {out}: it is a folder. Try a file name.")
    if not out.parent.is_dir():
        raise ExportError(f"Cannot write {out}: the folder {out.parent} does not exist.")


def _compare(folder: Path, graph: bytes, crops: NDArray[np.uint8]) -> tuple[str, list[Difference]]:
    """The first engine (torch if installed) and the others' differences. Raises ExportError if one is too large."""
    engines: list[Engine] = []
    if find_spec("torch") is not None:
        from inceptorch.inference.engines.torch import Torch

        engines.append(Torch(load(folder), device="cpu"))  # as the others: a GPU rounds convolutions to TF32
    for name in ("onnxruntime", "openvino"):
        if find_spec(name) is not None:
            engines.append(open_graph(graph, folder, name, "fp32", streams=1))
    first, *others = engines
    expected = first.run(crops, maps=True)
    differences = []
    for engine in others:
        for count in (*BATCH_SIZES, len(crops)):
            found = _difference(engine, crops[:count], expected)
            if not (found.probability <= MAX_PROBABILITY and found.map <= MAX_MAP):  # nan is refused too
                raise ExportError(
                    f"Cannot export: {engine.name} disagrees with {first.name} on a batch of {count} images. "
                    f"Probabilities differ by up to {found.probability:.2g}, activation maps by {found.map:.2g} of "
                    "their largest value."
                )
        differences.append(found)
    return first.name, differences


def _difference(engine: Engine, crops: NDArray[np.uint8], expected: EngineOutput) -> Difference:
    """From the expected output for these crops and more."""
    found, count = engine.run(crops, maps=True), len(crops)
    probability = float(np.abs(found.probabilities - expected.probabilities[:count]).max())
    if expected.maps is None or found.maps is None or expected.map_classes is None or found.map_classes is None:
        return Difference(engine.name, probability, 0.0)
    same = expected.map_classes[:count] == found.map_classes  # equally probable classes may be in another order
    maps = expected.maps[:count]
    scale = max(1.0, float(np.abs(maps).max()))
    return Difference(engine.name, probability, float(np.abs(found.maps - maps)[same].max(initial=0)) / scale)
