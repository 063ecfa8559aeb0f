"""Quantization of detectors to int8."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.deployment import quantize_boxes
from inceptorch.deployment.quantize_boxes import BoxQuantizationReport, check_box_report, quantize_detector
from inceptorch.errors import ExportError
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.engines.factory import exported_metadata, graph_of
from inceptorch.inference.engines.timing import random_images
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def data(detector: Path, tmp_path: Path) -> Path:
    """Images whose objects are what the detector finds in fp32: 6 to train on, 4 to evaluate on."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    images = random_images((96, 64), 10)
    lines = ["filename,class,xmin,ymin,xmax,ymax,split"]
    for number, (image, found) in enumerate(zip(images, open_engine(detector, "torch").detect(images), strict=True)):
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        split = "train" if number < 6 else "val"
        for (left, top, right, bottom), label in zip(found.xyxy, found.labels, strict=True):
            lines.append(f"images/{number}.png,class {label},{left},{top},{right},{bottom},{split}")
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds that do not depend on the machine."""

    def speed(engine: Engine, images: np.ndarray, seconds: float) -> float:
        assert images.shape == (1, 64, 96, 3)
        return 20.0 if engine.precision == "int8" else 10.0

    monkeypatch.setattr(quantize_boxes, "throughput", speed)


@pytest.mark.slow
@pytest.mark.usefixtures("faster")
def test_int8_is_evaluated_on_the_boxes_of_the_validation_images(detector: Path, data: Path, tmp_path: Path) -> None:
    graph = graph_of(detector)
    made, report = quantize_detector(graph, data, 60, QUIET)
    assert (report.calibration_images, report.val_images, report.compared) == (6, 4, 4)
    assert report.map50_fp32 == pytest.approx(1, abs=0.01)
    assert report.map50_fp32 is not None
    assert report.map50_int8 is not None
    assert 0.5 < report.map50_int8 < 1
    assert report.map50_drop == pytest.approx(100 * (report.map50_fp32 - report.map50_int8))
    assert [each.engine for each in report.differences] == ["onnxruntime", "openvino"]
    assert (report.images_per_second_fp32, report.images_per_second_int8) == (10, 20)
    file = tmp_path / "eight.onnx"
    file.write_bytes(made)
    assert exported_metadata(file)["precision"] == "int8"
    for name in ("onnxruntime", "openvino"):
        engine = open_engine(file, name)
        assert engine.precision == "int8"
        assert len(engine.detect(random_images((96, 64), 2))[1])
    with pytest.raises(ExportError, match="In int8 mAP drops by .* on 4 validation images, more than --max-drop 0.001"):
        quantize_detector(graph, data, 0.001, QUIET)


@pytest.mark.slow
@pytest.mark.usefixtures("faster")
def test_images_without_boxes_do_for_calibration(
    detector: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = quantize_detector(graph_of(detector), data / "images", 0.5, Progress())
    assert (report.calibration_images, report.val_images, report.compared) == (10, 0, 10)
    assert (report.map50_fp32, report.map50_int8, report.map50_drop) == (None, None, None)
    assert "has no boxes, so that the mAP of int8 is not evaluated" in capsys.readouterr().err


def test_data_without_other_images_to_evaluate_with(detector: Path, data: Path) -> None:
    table = data / "boxes.csv"
    rows = [line.rpartition(",")[0] for line in table.read_text().splitlines()]
    table.write_text("\n".join(rows) + "\n")
    with pytest.raises(ExportError, match="has no images to evaluate int8 on"):
        quantize_detector(graph_of(detector), data, 0.5, QUIET)


@pytest.mark.parametrize(
    ("drop", "max_drop", "fp32", "int8", "sentence"),
    [
        (0.51, 0.5, 10.0, 20.0, "mAP drops by 0.51 points on 72 validation images, more than --max-drop 0.5"),
        (0.5, 0.5, 10.0, 20.0, None),
        (None, 0.5, 10.0, 20.0, None),
        (-1.0, 0.5, 10.0, 10.0, "int8 is not faster here: 10 images per second against 10 in fp32"),
        (None, 0.5, 2.5, 2.25, "int8 is not faster here: 2.25 images per second against 2.5 in fp32"),
    ],
)
def test_a_graph_that_loses_accuracy_or_time_is_refused(
    drop: float | None, max_drop: float, fp32: float, int8: float, sentence: str | None
) -> None:
    report = BoxQuantizationReport(300, 72, 0.9, 0.9, drop, "openvino", fp32, int8, 32, 0.3, [])
    with pytest.raises(ExportError, match=sentence) if sentence else nullcontext():
        check_box_report(report, max_drop)
