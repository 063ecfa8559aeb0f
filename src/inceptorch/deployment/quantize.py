"""Quantization to int8 by NNCF: calibrated on training images, evaluated on validation images."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.data import Split
from inceptorch.deployment.compare import Difference, compare_int8
from inceptorch.errors import ExportError, ImageError
from inceptorch.evaluation.inputs import evaluation_split, training_split
from inceptorch.inference.engines.base import Engine
from inceptorch.inference.engines.factory import open_graph
from inceptorch.inference.engines.timing import throughput
from inceptorch.inference.inputs import to_input
from inceptorch.inference.predictor import Predictor
from inceptorch.networks.onnx_graph import INPUT
from inceptorch.tasks.metrics import Interval, paired_difference_interval
from inceptorch.utils.arrays import spread
from inceptorch.utils.progress import Progress

CALIBRATION_IMAGES = 300  # NNCF's default
COMPARED_IMAGES = 32
SECONDS = 2.0  # of timing for each precision
# Operations that stay in fp32: normalization of pixels, sums of squares, activation maps, probabilities. Of a detector,
# normalization of groups, the last convolutions, which cost little and decide on boxes, and all behind them.
IGNORED = ["scale/.*", ".*/lrn.*", "maps/.*", "softmax"]
IGNORED += ["(class|box)_tower/.*/(grouped|normalized|whole|scaled|shifted)", "(classes|edges|centerness)/.*"]
IGNORED += ["decode/.*", "nms/.*"]


@dataclass(frozen=True)
class QuantizationReport:
    """Accuracy and speed of int8 on `val_images` validation images. Top-1 and agreement are fractions; the drop and its
    95 % interval are in points; `differences` are those of every engine from fp32, on `compared` of the images."""

    calibration_images: int
    val_images: int
    top1_fp32: float
    top1_int8: float
    top1_drop: float
    top1_drop_interval: Interval
    agreement: float
    engine: str
    images_per_second_fp32: float
    images_per_second_int8: float
    compared: int
    differences: list[Difference]


def quantize(graph: bytes, data: str | Path, max_drop: float, progress: Progress) -> tuple[bytes, QuantizationReport]:
    """The graph in int8 with its report in the metadata. Raises ExportError if it loses more than `max_drop` points of
    top-1 on validation images, is not faster than fp32 here, or an engine's outputs are not those of fp32, rounded."""
    name = next(name for name in ("openvino", "onnxruntime") if find_spec(name) is not None)  # the faster one in int8
    fp32 = open_graph(graph, "the graph", name, "fp32")
    training, val = calibration_and_val(fp32, data, progress)
    crops = inputs_of(training, CALIBRATION_IMAGES, fp32, progress)
    quantized = quantize_graph(graph, crops, progress)
    compared = inputs_of(val, COMPARED_IMAGES, fp32, progress)
    differences = compare_int8(fp32, quantized, compared)
    int8 = open_graph(quantized, "the graph", name)
    calibration_images = min(CALIBRATION_IMAGES, len(training))
    report = _evaluate(fp32, int8, val, calibration_images, len(compared), differences, progress)
    check_report(report, max_drop)
    return with_metadata(quantized, int8=asdict(report)), report


def calibration_and_val(engine: Engine, data: str | Path, progress: Progress) -> tuple[Split, Split]:
    """The training split, to calibrate on, and the validation split, to evaluate on. Raises ExportError where they have
    images in common."""
    val, _ = evaluation_split([engine], engine.config.classes, data, None, None, progress)
    training = training_split(engine, data)
    if set(training.paths) & set(val.paths) and training.where == val.where:
        raise ExportError(
            f"{data} has no images to evaluate int8 on besides those for calibration. Try one with train/ and val/."
        )
    return training, val


def check_report(report: QuantizationReport, max_drop: float) -> None:
    """Raise ExportError if top-1 drops by more than `max_drop` points, or int8 is not faster."""
    if report.top1_drop > max_drop:
        raise ExportError(
            f"In int8 top-1 drops by {report.top1_drop:.2f} points on {report.val_images} validation images, more than "
            f"--max-drop {max_drop:g}; nothing was written. Allow more, or export without --int8."
        )
    check_speed(report.images_per_second_fp32, report.images_per_second_int8)


def check_speed(fp32: float, int8: float) -> None:
    """Raise ExportError if int8 is not faster, in images per second."""
    if int8 <= fp32:
        raise ExportError(
            f"int8 is not faster here: {int8:.3g} images per second against {fp32:.3g} in "
            "fp32; nothing was written. Export without --int8."
        )


def quantize_graph(graph: bytes, crops: NDArray[np.uint8], progress: Progress) -> bytes:
    """The graph with convolutions and linear layers in int8, calibrated on uint8 images [N, height, width, 3]."""
    import nncf
    import onnx

    progress.info(f"calibrating int8 on {len(crops)} images")
    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset(crops, lambda crop: {INPUT: np.ascontiguousarray(crop.transpose(2, 0, 1)[None])})
    ignored = nncf.IgnoredScope(patterns=IGNORED, validate=False)
    bars = sys.stderr if sys.stderr.isatty() else StringIO()  # the library's, which a log does not want
    with redirect_stdout(bars):
        quantized = nncf.quantize(onnx.load_from_string(graph), dataset, subset_size=len(crops), ignored_scope=ignored)
    return with_metadata(quantized.SerializeToString(), precision="int8")


def with_metadata(graph: bytes, **values: Any) -> bytes:
    import onnx

    model = onnx.load_from_string(graph)
    for key, value in values.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    written: bytes = model.SerializeToString()
    return written


def inputs_of(split: Split, count: int, engine: Engine, progress: Progress) -> NDArray[np.uint8]:
    """At most `count` images as the network takes them, spread evenly over a split, which lists class by class."""
    chosen = spread(len(split), count)
    crops = []
    for index in progress.track(chosen, len(chosen), "reading"):
        try:
            if engine.config.detection is None:
                crops.append(split.crop(index, engine.config.preprocessing))
            else:
                crops.append(to_input(split.image(index), engine.config))
        except ImageError:  # the others suffice
            continue
    if not crops:
        raise ExportError(
            f"Cannot quantize to int8: none of the {len(chosen)} images tried in {split.where} could be read. "
            "Try `inceptorch check`."
        )
    return np.stack(crops)


def _evaluate(
    fp32: Engine,
    int8: Engine,
    val: Split,
    calibration_images: int,
    compared: int,
    differences: list[Difference],
    progress: Progress,
) -> QuantizationReport:
    streams = [Predictor(engine).stream(range(len(val)), val.image) for engine in (fp32, int8)]
    pairs = progress.track(zip(*streams, strict=True), len(val), "evaluating int8")
    predicted = np.array([[each.log_probabilities.argmax() for each in pair] for pair in pairs])
    correct = predicted == np.asarray(val.labels)[:, None]
    lost = correct[:, 0].astype(np.int64) - correct[:, 1]
    low, high = paired_difference_interval(lost)
    batch = np.stack([val.crop(0, fp32.config.preprocessing)] * 8)
    speeds = [throughput(engine, batch, SECONDS) for engine in (fp32, int8)]
    return QuantizationReport(
        calibration_images=calibration_images,
        val_images=len(val),
        top1_fp32=float(correct[:, 0].mean()),
        top1_int8=float(correct[:, 1].mean()),
        top1_drop=100 * float(lost.mean()),
        top1_drop_interval=(100 * low, 100 * high),
        agreement=float((predicted[:, 0] == predicted[:, 1]).mean()),
        engine=fp32.name,
        images_per_second_fp32=speeds[0],
        images_per_second_int8=speeds[1],
        compared=compared,
        differences=differences,
    )
