"""Exported files: what is in them, what they refuse, 8 bits."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from inceptorch.deployment import export as exporting
from inceptorch.deployment.export import export
from inceptorch.deployment.quantize import quantize, quantize_graph
from inceptorch.errors import BundleError, ExportError, RunError
from inceptorch.evaluation import evaluate
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import exported_metadata, graph_of, open_graph
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS

QUIET = Progress(quiet=True)


@pytest.fixture
def run(recipe: Recipe, images: Path, tmp_path: Path) -> Path:
    inceptorch.train(images, recipe=recipe, out=tmp_path / "run", progress=QUIET)
    return tmp_path / "run"


def test_a_file_says_what_it_is_and_is_evaluated_like_its_run(run: Path, images: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "colors.onnx", tmp_path / "colors"
    result = CliRunner().invoke(app, ["export", str(run), "--out", str(file), "--images", str(images), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {one["engine"] for one in found["differences"]} == {"onnxruntime", "openvino"}
    assert all(one["probability"] < 1e-5 and one["map"] < 1e-4 for one in found["differences"])
    export(run, folder, format="openvino", progress=QUIET)
    config = json.loads((run / "config.json").read_text())
    del config["num_features"]  # which is for those who load the weights
    for each in (file, folder):
        assert exported_metadata(each) == config
    expected = evaluate(run, images, progress=QUIET)
    for given in (file, folder):
        evaluated = evaluate(given, images, progress=QUIET)
        assert evaluated.summary.predicted.tolist() == expected.summary.predicted.tolist()
        assert evaluated.loss == pytest.approx(expected.loss, abs=1e-4)
    together = evaluate([run, file], images, progress=QUIET)
    assert together.loss == pytest.approx(expected.loss, abs=1e-4)


def test_inputs_and_outputs_are_as_promised(run: Path, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    export(run, tmp_path / "a.onnx", progress=QUIET)
    onnx.checker.check_model(onnx.load(tmp_path / "a.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["N", 3, 16, 16])
    first, *_ = session.get_outputs()
    assert (first.name, first.type, first.shape) == ("probabilities", "tensor(float)", ["N", 3])
    assert {node.name.partition("/")[0] for node in onnx.load(tmp_path / "a.onnx").graph.node} == {
        "scale", "conv1", "mix", "pool", "avgpool", "linear", "softmax", "maps"
    }  # fmt: skip


def test_images_that_cannot_be_read_are_left_out(run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "bad.png").write_bytes(b"no image")
    words = ["export", str(run), "--out", str(tmp_path / "a.onnx"), "--images", str(tmp_path / "some")]
    refused = CliRunner().invoke(app, words)
    assert "some holds no image that can be read: " in str(refused.exception)
    (tmp_path / "some" / "good.png").symlink_to(next(images.rglob("*.png")))
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "bad.png is not an image in a format that is read here; left out" in result.stderr
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ExportError, match=r"folder\.onnx: it is a folder"):
        export(run, tmp_path / "folder.onnx", progress=QUIET)


def test_a_file_that_differs_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = graph_of(run).replace(np.float32(123.675).tobytes(), np.float32(120.0).tobytes())
    monkeypatch.setattr(exporting, "graph_of", lambda folder: wrong)
    with pytest.raises(ExportError, match=r"onnxruntime disagrees with torch on a batch of 1 images"):
        export(run, tmp_path / "a.onnx", progress=QUIET)
    assert not (tmp_path / "a.onnx").exists()


def test_names_that_cannot_be_written(run: Path, tmp_path: Path) -> None:
    for out, format, match in (
        ("a.txt", "onnx", "must end in .onnx"),
        ("a.onnx", "openvino", "is a folder of two files"),
        ("a.onnx", "tflite", "There is no format 'tflite'"),
        ("none/a.onnx", "onnx", "the folder .*none does not exist"),
    ):
        with pytest.raises(ExportError, match=match):
            export(run, tmp_path / out, format=format, progress=QUIET)
    with pytest.raises(RunError, match="already holds files"):
        export(run, run, format="openvino", progress=QUIET)
    with pytest.raises(BundleError, match="is a file, not a folder with a classifier"):
        export(run / "config.json", tmp_path / "a.onnx", progress=QUIET)


def test_8_bits_answer_nearly_alike_and_say_so(run: Path, images: Path, tmp_path: Path) -> None:
    pixels = inceptorch.load(run).preprocessing
    crops = np.stack([pixels.apply(path) for path in sorted(images.rglob("*.png"))])
    graph = quantize_graph(graph_of(run), crops, QUIET)
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
    assert report.images_per_second_int8 > report.images_per_second_fp32
    low, high = report.top1_drop_interval
    assert low <= report.top1_drop <= high
    engine = open_graph(made, "made", "openvino")
    crop = engine.config.preprocessing.apply(
        Image.open(shared / "photos" / next(value for value in rows[0] if ".png" in value))
    )
    assert engine.run(crop[None], maps=True).probabilities.shape == (1, 1000)


def test_data_without_other_images_to_evaluate_with(run: Path, images: Path) -> None:
    with pytest.raises(ExportError, match="has no images to evaluate int8 on"):
        quantize(graph_of(run), images / "val", 0.5, QUIET)


def test_classes_are_those_of_the_run(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "a.onnx", progress=QUIET)
    assert open_engine(tmp_path / "a.onnx").config.classes == list(COLORS)
