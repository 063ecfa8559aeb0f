"""A network in 8 bits, by NNCF: calibrated on training images, evaluated on others."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.data import Split
from inceptorch.errors import ExportError, ImageError
from inceptorch.evaluation.inputs import evaluation_split, training_split
from inceptorch.inference.engines.base import Engine
from inceptorch.inference.engines.factory import open_graph
from inceptorch.inference.engines.timing import throughput
from inceptorch.inference.predictor import Predictor
from inceptorch.networks.onnx_graph import INPUT
from inceptorch.tasks.metrics import Interval, paired_difference_interval
from inceptorch.utils.progress import Progress

CALIBRATION = 300  # images; NNCF's own number
SECONDS = 2.0  # that each precision is timed
# What is not computed in 8 bits: the pixels' arithmetic, sums of squares, the maps, the probabilities.
LEFT = ["scale/.*", ".*/lrn.*", "maps/.*", "softmax"]


@dataclass(frozen=True)
class Quantized:
    """What 8 bits cost and bring, on `evaluated` validation images; top-1 are fractions, `drop_interval` is the 95 %
    interval of the loss in points on more images like these."""

    calibrated_on: int
    evaluated: int
    top1_fp32: float
    top1_int8: float
    drop: float
    drop_interval: Interval
    agreement: float
    engine: str
    per_second_fp32: float
    per_second_int8: float


def quantized(graph: bytes, data: str | Path, max_drop: float, progress: Progress) -> tuple[bytes, Quantized]:
    """The graph in 8 bits with its report in the metadata. Raises ExportError if it loses more than `max_drop` points
    of top-1 on validation images, or is not faster than fp32 here."""
    name = next(name for name in ("openvino", "onnxruntime") if find_spec(name) is not None)  # the faster one in 8 bits
    full = open_graph(graph, "the graph", name, "fp32")
    val, _ = evaluation_split([full], full.config.classes, data, None, None, progress)
    training = training_split(full, data)
    if set(training.paths) & set(val.paths) and training.where == val.where:
        raise ExportError(
            f"{data} has no images to evaluate 8 bits with besides those to calibrate on; name a folder with train/ and val/ in it."
        )
    eight_bits = in_8_bits(graph, _some(training, full, progress), progress)
    int8 = open_graph(eight_bits, "the graph", name)
    report = _report(full, int8, val, min(CALIBRATION, len(training)), progress)
    if report.drop > max_drop:
        raise ExportError(
            f"In 8 bits top-1 falls by {report.drop:.2f} points on {report.evaluated} validation images, more than --max-drop "
            f"{max_drop:g}; nothing was written. Allow more, or export without --int8."
        )
    if report.per_second_int8 <= report.per_second_fp32:
        raise ExportError(
            f"8 bits are not faster here: {report.per_second_int8:.0f} images per second against "
            f"{report.per_second_fp32:.0f} in fp32; nothing was written. Export without --int8."
        )
    return with_metadata(eight_bits, int8=asdict(report)), report


def in_8_bits(graph: bytes, crops: NDArray[np.uint8], progress: Progress) -> bytes:
    """The graph with convolutions and linear layers in 8 bits, their ranges found on uint8 crops [N, S, S, 3]."""
    import nncf
    import onnx

    progress.info(f"calibrating 8 bits on {len(crops)} images")
    nncf.set_log_level(logging.ERROR)
    images = nncf.Dataset(crops, lambda crop: {INPUT: np.ascontiguousarray(crop.transpose(2, 0, 1)[None])})
    made = nncf.quantize(
        onnx.load_from_string(graph),
        images,
        subset_size=len(crops),
        ignored_scope=nncf.IgnoredScope(patterns=LEFT, validate=False),
    )
    return with_metadata(made.SerializeToString(), precision="int8")


def with_metadata(graph: bytes, **values: Any) -> bytes:
    """The graph with more in its metadata."""
    import onnx

    model = onnx.load_from_string(graph)
    for key, value in values.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    written: bytes = model.SerializeToString()
    return written


def _some(split: Split, engine: Engine, progress: Progress) -> NDArray[np.uint8]:
    """Squares of images drawn evenly from a split, which lists class by class."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(CALIBRATION, len(split))).round().astype(int)).tolist()
    crops = []
    for index in progress.track(chosen, len(chosen), "reading"):
        try:
            crops.append(split.crop(index, engine.config.preprocessing))
        except ImageError:  # it is as good without one
            continue
    if not crops:
        raise ExportError(f"{split.where} has no image that can be read, so there is nothing to calibrate 8 bits on.")
    return np.stack(crops)


def _report(full: Engine, int8: Engine, val: Split, calibrated_on: int, progress: Progress) -> Quantized:
    labels = np.asarray(val.labels)
    streams = [Predictor(engine).stream(range(len(val)), val.image) for engine in (full, int8)]
    pairs = progress.track(zip(*streams, strict=True), len(val), "evaluating 8 bits")
    answers = np.array([[one.log_probabilities.argmax() for one in pair] for pair in pairs])
    right = answers == labels[:, None]
    lost = right[:, 0].astype(np.int64) - right[:, 1]
    low, high = paired_difference_interval(lost)
    speeds = [
        throughput(engine, np.stack([val.crop(0, full.config.preprocessing)] * 8), SECONDS) for engine in (full, int8)
    ]
    return Quantized(
        calibrated_on=calibrated_on,
        evaluated=len(val),
        top1_fp32=float(right[:, 0].mean()),
        top1_int8=float(right[:, 1].mean()),
        drop=100 * float(lost.mean()),
        drop_interval=(100 * low, 100 * high),
        agreement=float((answers[:, 0] == answers[:, 1]).mean()),
        engine=full.name,
        per_second_fp32=speeds[0],
        per_second_int8=speeds[1],
    )
