"""Quantization to int8."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inceptorch
from inceptorch.deployment.quantize import QuantizationReport, check_report, quantize, quantize_graph
from inceptorch.errors import ExportError
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import exported_metadata, graph_of, open_graph
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


@pytest.mark.slow
def test_8_bits_answer_nearly_alike_and_say_so(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = inceptorch.load(run).preprocessing
    crops = np.stack([pixels.apply(path) for path in sorted(images.rglob("*.png"))])
    graph = quantize_graph(graph_of(run), crops, QUIET)
    out, err = capsys.readouterr()
    assert out == ""  # which is for --json
    assert "collection" not in err  # a bar, which a log does not want
    file = tmp_path / "eight.onnx"
    file.write_bytes(graph)
    assert exported_metadata(file)["precision"] == "int8"
    full = open_engine(run, "onnxruntime").run(crops, maps=True)
    for name in ("onnxruntime", "openvino"):
        engine = open_engine(file, name)
        assert engine.precision == "int8"
        answer = engine.run(crops, maps=True)
        assert 0 < np.abs(answer.probabilities - full.probabilities).max() < 0.1
        assert answer.maps is not None


def test_8_bits_on_photographs(converted: Path, shared: Path, tmp_path: Path) -> None:
    """GoogLeNet on 40 photographs that it was not calibrated on."""
    with open(shared / "photos" / "labels.csv") as labels:
        rows = [line.strip().split(",") for line in labels][1:]
    data = tmp_path / "photos.csv"
    lines = ["path,label,split"]
    classes = inceptorch.load(converted).classes
    for number, row in enumerate(rows[:80]):
        image = next(value for value in row if value.endswith(".png"))
        label = classes[int(next(value for value in row if value.isdigit()))]
        lines.append(f'{shared / "photos" / image},"{label}",{"train" if number % 2 else "val"}')
    data.write_text("\n".join(lines) + "\n")
    graph = graph_of(converted)
    with pytest.raises(ExportError, match="more than --max-drop -101; nothing was written"):
        quantize(graph, data, -101, QUIET)
    made, report = quantize(graph, data, 10, QUIET)
    assert report.val_images == 40
    assert report.calibration_images == 40
    assert report.agreement > 0.8
    assert report.compared == 32
    assert [each.engine for each in report.differences] == ["onnxruntime", "openvino"]
    assert report.images_per_second_int8 > report.images_per_second_fp32
    low, high = report.top1_drop_interval
    assert low <= report.top1_drop <= high
    engine = open_graph(made, "made", "openvino")
    crop = engine.config.preprocessing.apply(
        Image.open(shared / "photos" / next(value for value in rows[0] if ".png" in value))
    )
    assert engine.run(crop[None], maps=True).probabilities.shape == (1, 1000)


@pytest.mark.parametrize(
    ("drop", "max_drop", "fp32", "int8", "sentence"),
    [
        (0.51, 0.5, 100.0, 200.0, "drops by 0.51 points on 200 validation images, more than --max-drop 0.5"),
        (30.0, 29.0, 100.0, 200.0, "drops by 30.00 points"),
        (0.5, 0.5, 100.0, 200.0, None),
        (-1.0, 0.5, 100.0, 100.1, None),
        (0.0, 0.5, 100.0, 100.0, "int8 is not faster here"),
        (0.0, 0.5, 100.0, 90.0, "int8 is not faster here: 90 images per second against 100 in fp32"),
    ],
)
def test_a_graph_that_loses_accuracy_or_time_is_refused(
    drop: float, max_drop: float, fp32: float, int8: float, sentence: str | None
) -> None:
    report = QuantizationReport(300, 200, 0.9, 0.9, drop, (0.0, 1.0), 0.99, "openvino", fp32, int8, 32, [])
    with pytest.raises(ExportError, match=sentence) if sentence else nullcontext():
        check_report(report, max_drop)


def test_data_without_other_images_to_evaluate_with(run: Path, images: Path) -> None:
    with pytest.raises(ExportError, match="has no images to evaluate int8 on"):
        quantize(graph_of(run), images / "val", 0.5, QUIET)
