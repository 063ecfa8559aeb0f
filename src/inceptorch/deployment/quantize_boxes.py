"""Quantization of a detector to int8: calibrated on images of any kind, evaluated where they have boxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.box_split import BoxSplit
from inceptorch.data.resolve import has_boxes
from inceptorch.deployment.compare_boxes import BoxDifference, compare_boxes_int8
from inceptorch.deployment.quantize import (
    CALIBRATION_IMAGES,
    COMPARED_IMAGES,
    SECONDS,
    calibration_and_val,
    check_speed,
    inputs_of,
    quantize_graph,
    with_metadata,
)
from inceptorch.errors import ExportError
from inceptorch.evaluation.detection import evaluate_boxes
from inceptorch.inference.boxes import BoxPredictor, score_threshold
from inceptorch.inference.engines import Engine
from inceptorch.inference.engines.factory import open_graph
from inceptorch.inference.engines.timing import throughput
from inceptorch.inference.inputs import load_inputs
from inceptorch.utils.progress import Progress


@dataclass(frozen=True)
class BoxQuantizationReport:
    """mAP at an IoU of 0.5 by the rule of Pascal VOC, and speed, of int8 on `val_images` validation images. mAP is a
    fraction and its drop in points, None where the images have no boxes. `differences` are those of every engine from
    fp32, on `compared` images, of boxes with at least the score `min_score`."""

    calibration_images: int
    val_images: int
    map50_fp32: float | None
    map50_int8: float | None
    map50_drop: float | None
    engine: str
    images_per_second_fp32: float
    images_per_second_int8: float
    compared: int
    min_score: float
    differences: list[BoxDifference]


@dataclass(frozen=True)
class _Images:
    """What DATA gives: images to calibrate on and to compare on, [N, height, width, 3], and images with boxes to
    evaluate on, if there are any."""

    calibration: NDArray[np.uint8]
    compared: NDArray[np.uint8]
    val: BoxSplit | None = None


def quantize_detector(
    graph: bytes, data: str | Path, max_drop: float, progress: Progress
) -> tuple[bytes, BoxQuantizationReport]:
    """The graph in int8 with its report in the metadata. Raises ExportError if it loses more than `max_drop` points of
    mAP on validation images, is not faster than fp32 here, or an engine's boxes are not those of fp32, rounded."""
    name = next(name for name in ("openvino", "onnxruntime") if find_spec(name) is not None)  # the faster one in int8
    fp32 = open_graph(graph, "the graph", name, "fp32")
    images = _read(data, fp32, progress)
    quantized = quantize_graph(graph, images.calibration, progress)
    min_score = score_threshold(fp32.config)
    differences = compare_boxes_int8(fp32, quantized, images.compared, min_score)
    int8 = open_graph(quantized, "the graph", name)
    before, after = (None if images.val is None else _map50(engine, images.val, progress) for engine in (fp32, int8))
    speeds = [throughput(engine, images.compared[:1], SECONDS) for engine in (fp32, int8)]
    report = BoxQuantizationReport(
        calibration_images=len(images.calibration),
        val_images=0 if images.val is None else len(images.val),
        map50_fp32=before,
        map50_int8=after,
        map50_drop=None if before is None or after is None else 100 * (before - after),
        engine=name,
        images_per_second_fp32=speeds[0],
        images_per_second_int8=speeds[1],
        compared=len(images.compared),
        min_score=min_score,
        differences=differences,
    )
    check_box_report(report, max_drop)
    return with_metadata(quantized, int8=asdict(report)), report


def check_box_report(report: BoxQuantizationReport, max_drop: float) -> None:
    """Raise ExportError if mAP drops by more than `max_drop` points, or int8 is not faster."""
    if report.map50_drop is not None and report.map50_drop > max_drop:
        raise ExportError(
            f"In int8 mAP drops by {report.map50_drop:.2f} points on {report.val_images} validation images, more than "
            f"--max-drop {max_drop:g}; nothing was written. Allow more, or export without --int8."
        )
    check_speed(report.images_per_second_fp32, report.images_per_second_int8)


def _read(data: str | Path, engine: Engine, progress: Progress) -> _Images:
    """The images of DATA. Raises ExportError where the same images would be calibrated and evaluated on."""
    if not has_boxes(data):
        progress.info(f"{data} has no boxes, so that the mAP of int8 is not evaluated")
        images = load_inputs(Path(data), engine.config, CALIBRATION_IMAGES, progress)
        return _Images(images, images[:COMPARED_IMAGES])
    training, val = calibration_and_val(engine, data, progress)
    assert isinstance(val, BoxSplit)
    calibration = inputs_of(training, CALIBRATION_IMAGES, engine, progress)
    return _Images(calibration, inputs_of(val, COMPARED_IMAGES, engine, progress), val)


def _map50(engine: Engine, val: BoxSplit, progress: Progress) -> float | None:
    """mAP at an IoU of 0.5; None where no image has an object."""
    stream = BoxPredictor(engine).stream(range(len(val)), val.image)
    found = [each.boxes for each in progress.track(stream, len(val), f"evaluating {engine.precision}")]
    return evaluate_boxes(val.boxes, found, val.classes, bootstrap=0).map50
