"""Predictions as entries."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.cli import app
from inceptorch.errors import ImageError, ProtocolError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines.factory import graph_of
from inceptorch.models.module import Model
from tests.conftest import COLORS, TINY
from tests.helpers import detector, invoke
from tests.inference.helpers import entries_of, rows_of

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), list(COLORS))


def test_lines_come_before_all_images_are_read(bundle: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "inceptorch", "predict", bundle, *[folder] * 400, "--engine", "onnxruntime"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert b"blue/00.png: " in process.stdout.readline()
        assert process.poll() is None
        process.kill()


def test_images_of_a_generator_are_taken_as_they_are_needed(classifier: Classifier) -> None:
    taken = 0

    def images() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield RGB

    answers = inceptorch.predict(classifier, images(), top=1)
    first = next(answers)
    assert first == {"predictions": classifier.predict(RGB, top=1)}
    assert taken <= 8 * 2 * torch.get_num_threads()
    assert len(list(answers)) == 999


def test_predict_says_what_the_command_says(classifier: Classifier, images: Path, tmp_path: Path) -> None:

    classifier.save(tmp_path / "bundle")
    (images / "val" / "red" / "bad.png").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    paths = [images / "val", tmp_path / "none.png", tmp_path / "empty"]
    words = ["predict", str(tmp_path / "bundle"), *map(str, paths), "--json", "--top", "2"]
    said = json.loads(CliRunner().invoke(app, words).stdout)
    assert list(inceptorch.predict(tmp_path / "bundle", paths, top=2)) == said
    assert list(inceptorch.predict(classifier, iter(paths), top=2)) == said
    assert ["error" in entry for entry in said].count(True) == 3
    errors = [entry["error"] for entry in said if "error" in entry]
    assert errors[1:] == ["does not exist", "is a folder that holds no images"]
    with pytest.raises(ImageError, match=r"none.png does not exist"):
        classifier.predict(tmp_path / "none.png")


def test_an_exported_file_is_predicted_with_without_torch(bundle: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(graph_of(bundle))
    code = "import sys; from inceptorch.cli import app; app(standalone_mode=False); assert 'torch' not in sys.modules"
    words = ["predict", str(tmp_path / "tiny.onnx"), str(folder / "red"), "--out", str(tmp_path / "a.jsonl")]
    subprocess.run([sys.executable, "-c", code, *words], check=True, timeout=100)
    expected = entries_of(bundle, folder / "red")
    assert [row["file"] for row in rows_of(tmp_path / "a.jsonl")] == [entry["file"] for entry in expected]


def test_a_detector_answers_with_boxes_above_its_threshold(boxes: Path, folder: Path) -> None:
    said = list(inceptorch.predict(boxes, folder))
    assert json.loads(invoke("predict", boxes, folder, "--json").stdout) == said
    assert [set(entry) for entry in said if "error" in entry] == [{"file", "error"}]
    found = [entry for entry in said if "error" not in entry]
    assert len(found) == 24
    for entry in found:
        assert set(entry) == {"file", "boxes"}
        scores = [box["score"] for box in entry["boxes"]]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] >= 0.6
        for box in entry["boxes"]:
            assert set(box) == {"label", "index", "score", "box"}
            assert box["label"] == ["ant", "bee", "=1+1"][box["index"]]
            left, top, width, height = box["box"]
            assert 0 <= left <= left + width <= 24.001
            assert 0 <= top <= top + height <= 20.001
    images = [entry["file"] for entry in found[:8]]  # the first batch
    assert inceptorch.load(boxes).predict(images) == [entry["boxes"] for entry in found[:8]]
    assert inceptorch.load(boxes).predict(RGB) == next(inceptorch.predict(boxes, RGB))["boxes"]


def test_min_confidence_takes_the_place_of_the_threshold(boxes: Path, folder: Path) -> None:
    own, more, none = (
        next(inceptorch.predict(boxes, folder, min_confidence=value))["boxes"] for value in (None, 0.5, 1.0)
    )
    assert more[: len(own)] == own
    assert len(more) > len(own)
    assert more[-1]["score"] < 0.6
    assert none == []
    (without,) = inceptorch.predict(detector(), [RGB])  # a bundle without a threshold
    assert 0.3 <= without["boxes"][-1]["score"] < 0.5


@pytest.mark.parametrize("option", [{"top": 5}, {"protocol": "center"}])
def test_a_detector_refuses_what_does_not_apply_to_it(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(ProtocolError, match=f"Cannot use {name} with a detector"):
        inceptorch.predict(detector(), [RGB], **option)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match="Cannot use top"):
        detector().predict(RGB, top=1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1])
def test_a_threshold_is_a_fraction(value: float, boxes: Path, classifier: Classifier) -> None:
    for model in (boxes, classifier):
        with pytest.raises(ProtocolError, match="as min-confidence: it must be from 0 to 1"):
            inceptorch.predict(model, RGB, min_confidence=value)
