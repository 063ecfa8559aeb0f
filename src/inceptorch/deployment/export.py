"""Export to other engines, after checking that their outputs agree."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from inceptorch.classifier.config import read_config
from inceptorch.classifier.hub import resolve_weights
from inceptorch.deployment.compare import BATCH_SIZES, Difference, compare_fp32
from inceptorch.deployment.compare_boxes import BATCH_SIZE, BoxDifference, compare_boxes_fp32
from inceptorch.deployment.quantize import QuantizationReport, quantize
from inceptorch.deployment.quantize_boxes import BoxQuantizationReport, quantize_detector
from inceptorch.errors import ExportError, did_you_mean
from inceptorch.inference.engines.factory import graph_of
from inceptorch.inference.engines.formats import IR
from inceptorch.inference.engines.metadata import with_hash, write_hashes
from inceptorch.inference.engines.timing import random_images
from inceptorch.inference.inputs import load_inputs
from inceptorch.utils.files import atomic_write, ensure_empty, new_folder, remove_leftovers
from inceptorch.utils.progress import Progress

FORMATS = ("onnx", "openvino")


@dataclass(frozen=True)
class ExportResult:
    """An exported file, the engines compared with `reference` on `images` images, and the report on int8, if any."""

    path: str
    format: str
    precision: str
    reference: str
    images: int
    differences: list[Difference] | list[BoxDifference]
    int8: QuantizationReport | BoxQuantizationReport | None = None

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
    images   an image or a folder, to compare engines on besides random images; the first 32 are used, 8 for a detector
    int8     labeled images: quantizes the network, calibrated on their training split and evaluated on the validation
             split; refused if top-1 drops by more than `max_drop` points or int8 is not faster here. For a detector,
             images with boxes, and mAP drops; or any images, and nothing is evaluated

    Every installed engine is compared first, with batches of 1, 2, 7 and 32, or 1, 2, 7 and 8 for a detector. Raises
    ExportError, and writes nothing, if they disagree; ImageError if none of `images` can be read.
    """
    progress, folder = progress or Progress(), resolve_weights(model)
    if format not in FORMATS:
        raise ExportError(f"There is no format {format!r}: {did_you_mean(format, FORMATS)}")
    out = Path(out or Path(model).resolve().name + {"onnx": ".onnx", "openvino": "-openvino"}[format])
    _check_name(out, format)
    for module in ("openvino",) * (format == "openvino") + ("nncf",) * (int8 is not None):
        import_module(module)  # before any work is done
    graph = graph_of(folder)
    config = read_config(folder)
    count = max(BATCH_SIZES) if config.detection is None else BATCH_SIZE
    inputs = random_images(config.input_size, count)
    if images is not None:
        inputs = np.concatenate([inputs, load_inputs(Path(images), config, count, progress)])
    progress.info(f"comparing engines on {len(inputs)} images")
    reference, differences = (compare_fp32 if config.detection is None else compare_boxes_fp32)(folder, graph, inputs)
    report: QuantizationReport | BoxQuantizationReport | None = None
    if int8 is not None:
        graph, report = (quantize if config.detection is None else quantize_detector)(graph, int8, max_drop, progress)
    if format == "onnx":
        remove_leftovers(out)
        atomic_write(out, lambda temporary: temporary.write_bytes(with_hash(graph)))
    else:
        import openvino

        from inceptorch.inference.engines.openvino import read_model

        with new_folder(out) as new:
            openvino.save_model(read_model(graph), str(new / IR), compress_to_fp16=False)
            write_hashes(new)
    precision = "fp32" if report is None else "int8"
    return ExportResult(str(out), format, precision, reference, len(inputs), differences, report)


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
