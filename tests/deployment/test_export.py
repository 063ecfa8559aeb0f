"""Exported files: their content, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inceptorch.cli import app
from inceptorch.deployment import export as exporting
from inceptorch.deployment.export import export
from inceptorch.errors import BundleError, ExportError, RunError
from inceptorch.evaluation import evaluate
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import exported_metadata, graph_of
from inceptorch.inference.engines.timing import random_images
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS
from tests.inference.engines.helpers import assert_same_boxes

QUIET = Progress(quiet=True)


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


def test_a_file_that_differs_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = graph_of(run).replace(np.float32(123.675).tobytes(), np.float32(120.0).tobytes())
    monkeypatch.setattr(exporting, "graph_of", lambda folder: wrong)
    with pytest.raises(ExportError, match=r"onnxruntime disagrees with torch on a batch of 1 images"):
        export(run, tmp_path / "a.onnx", progress=QUIET)
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_one_flipped_bit_of_a_file_is_noticed(format: str, run: Path, tmp_path: Path) -> None:
    """By both engines, and by `sha256sum` for OpenVINO's files; files without a hash are taken as they are."""
    out = tmp_path / ("a.onnx" if format == "onnx" else "a")
    export(run, out, format=format, progress=QUIET)
    engines = ("onnxruntime", "openvino") if format == "onnx" else ("openvino",)
    for engine in engines:
        open_engine(out, engine)
    file = out if format == "onnx" else out / "model.bin"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for engine in engines:
        with pytest.raises(BundleError, match=r"(a.onnx|model.xml): it is damaged, or not the file that was exported"):
            open_engine(out, engine)
    if format == "openvino":
        assert subprocess.run(
            ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, capture_output=True
        ).returncode
        (out / "SHA256SUMS").unlink()
    else:
        file.write_bytes(graph_of(run))
    open_engine(out, engines[0])


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


def test_classes_are_those_of_the_run(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "a.onnx", progress=QUIET)
    assert open_engine(tmp_path / "a.onnx").config.classes == list(COLORS)


def test_a_detector_is_written_in_both_formats_and_finds_the_same_boxes(detector: Path, tmp_path: Path) -> None:
    images = random_images((96, 64), 2)
    Image.fromarray(random_images((200, 90), 1)[0]).save(tmp_path / "wide.png")
    out = tmp_path / "cells.onnx"
    words = ["export", str(detector), "--out", str(out), "--images", str(tmp_path / "wide.png")]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["images"], found["reference"]) == (9, "torch")
    assert all(each["boxes"] > 100 and each["unequal"] <= 0.01 for each in found["differences"])
    result = CliRunner().invoke(app, words)
    assert re.search(r"openvino against torch on 9 images with \d+ boxes: [\d.]+% are equal, within", result.stdout)
    export(detector, tmp_path / "cells", format="openvino", progress=QUIET)
    expected = open_engine(detector, "torch").detect(images)
    for file in (out, tmp_path / "cells"):
        assert exported_metadata(file) == json.loads((detector / "config.json").read_text())
        assert_same_boxes(open_engine(file).detect(images), expected)


def test_a_detector_that_differs_is_not_written(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = graph_of(detector).replace(np.float32(123.675).tobytes(), np.float32(60.0).tobytes())
    monkeypatch.setattr(exporting, "graph_of", lambda folder: wrong)
    with pytest.raises(ExportError, match=r"Cannot export: onnxruntime disagrees with torch on [\d.]+% of the boxes"):
        export(detector, tmp_path / "a.onnx", progress=QUIET)
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize(
    ("module", "out", "words"),
    [("openvino", "folder", {"format": "openvino"}), ("nncf", "b.onnx", {"format": "onnx", "int8": "images"})],
)
def test_a_library_that_is_missing_is_met_before_any_work(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, out: str, words: dict[str, str]
) -> None:
    def work(folder: Path) -> None:
        raise RuntimeError("work")

    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(exporting, "graph_of", work)
    with pytest.raises(ImportError, match=module):
        export(run, tmp_path / out, progress=QUIET, **words)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="work"):
        export(run, tmp_path / "a.onnx", progress=QUIET)
