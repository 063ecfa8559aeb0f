"""Engines compared with a reference."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.deployment import benchmark as measuring
from inceptorch.deployment import peak
from inceptorch.deployment.benchmark import benchmark, measure_once
from inceptorch.errors import EngineError
from inceptorch.images.boxes import Boxes
from inceptorch.inference.engines import Engine, EngineOutput, available, open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.inference.engines.onnxruntime import OnnxRuntime
from inceptorch.inference.engines.openvino import OpenVino
from inceptorch.inference.engines.selection import saved_choice
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from tests.conftest import TINY
from tests.helpers import classifier_of, detector_of

QUIET = Progress(quiet=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round instead of three, and short products of matrices."""
    monkeypatch.setattr(measuring, "ROUNDS", 1)
    monkeypatch.setattr(peak, "SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_answers_are_compared_with_the_reference_on_the_images_given(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(graph_of(bundle))
    other = classifier_of(TINY)
    other.model.get_classifier().bias.data[2] += 3  # class 2, whatever the image shows
    other.save(tmp_path / "other")
    data = tmp_path / "data"
    data.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(data / f"{number}.png")
    (data / "broken.png").write_bytes(b"nothing")
    same, changed = (
        benchmark(
            file,
            engine="onnxruntime",
            batch_sizes=[2],
            seconds=0.02,
            data=data,
            reference=reference,
            progress=Progress(tmp_path / "log"),
        )[0]
        for reference in (None, tmp_path / "other")
    )
    assert (same.reference, same.top1_agreement, same.max_difference) == ("onnxruntime fp32", 1.0, 0.0)
    engine, crops = (
        open_engine(file, "onnxruntime"),
        [open_engine(bundle).config.preprocessing.apply(str(path)) for path in sorted(data.glob("[0-9].png"))],
    )
    answers = [each.run(np.stack(crops)).probabilities for each in (engine, open_engine(tmp_path / "other"))]
    assert changed.max_difference == pytest.approx(np.abs(answers[0] - answers[1]).max(), abs=1e-5)
    assert changed.max_difference > 0.1
    assert changed.top1_agreement == (answers[0].argmax(1) == answers[1].argmax(1)).mean()
    assert "broken.png" in (tmp_path / "log").read_text()
    assert saved_choice(file).per_second == 0  # one engine alone decides nothing

    benchmark(file, batch_sizes=[1], seconds=0.02, progress=Progress(quiet=True))
    found = saved_choice(file)
    assert found.per_second > 0
    benchmark(file, batch_sizes=[1], seconds=0.02, reference=tmp_path / "other", progress=Progress(quiet=True))
    assert saved_choice(file) == found  # none agrees with another classifier; what was known stays

    classifier_of(TINY, classes=6).save(tmp_path / "six")
    with pytest.raises(EngineError, match="has other classes or preprocessing"):
        benchmark(file, seconds=0.02, reference=tmp_path / "six", progress=Progress(quiet=True))


@pytest.mark.slow
def test_engines_are_measured_once_and_the_fastest_that_agrees_is_taken(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(measuring, "QUICK_SECONDS", 0.02)
    rates = count(1)
    measured: list[str] = []
    streams: set[tuple[str, int]] = set()
    monkeypatch.setattr(measuring, "processors", lambda: 2)

    def faster_each_time(engine: Engine, crops: np.ndarray, seconds: float) -> float:
        measured.append(engine.name)
        streams.add((engine.name, engine.max_concurrency))
        return float(next(rates))

    monkeypatch.setattr(measuring, "throughput", faster_each_time)
    assert saved_choice(bundle).engine == "torch"
    measure_once(bundle, progress=Progress())
    assert "--no-measure" in capsys.readouterr().err
    assert set(measured) == {engine for engine, precision in available(bundle) if precision == "fp32"}
    assert {("onnxruntime", 1), ("onnxruntime", 2)} <= streams
    assert (saved_choice(bundle).engine, saved_choice(bundle).precision) == (measured[-1], "fp32")
    before = len(measured)
    measure_once(bundle, progress=Progress())
    assert (len(measured), capsys.readouterr().err) == (before, "")

    other = classifier_of(TINY)
    other.save(tmp_path / "other")
    run = OnnxRuntime.run

    def wrong(self: OnnxRuntime, crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
        answer = run(self, crops, maps=maps)
        return EngineOutput.of_probabilities(answer.probabilities[:, ::-1])

    monkeypatch.setattr(OnnxRuntime, "run", wrong)
    measure_once(tmp_path / "other", progress=Progress(quiet=True))
    assert "onnxruntime" not in measured[before:]
    assert saved_choice(tmp_path / "other").engine != "onnxruntime"

    def failing(self: OnnxRuntime, crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
        raise EngineError("Cannot execute it.")

    monkeypatch.setattr(OnnxRuntime, "run", failing)
    classifier_of(TINY, classes=3).save(tmp_path / "third")
    before = len(measured)
    measure_once(tmp_path / "third", progress=Progress(quiet=True))
    assert "onnxruntime" not in measured[before:]


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_a_detectors_boxes_are_compared(detector: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(graph_of(detector))
    Image.fromarray(random_images((50, 80), 1)[0]).save(tmp_path / "a.png")
    (same,) = benchmark(
        file, engine="onnxruntime", batch_sizes=[2], seconds=0.02, data=tmp_path / "a.png", progress=QUIET
    )
    assert (same.answers, same.reference, same.top1_agreement, same.max_difference) == (
        "boxes", "onnxruntime fp32", 1.0, 0.0
    )  # fmt: skip
    assert same.images_per_second > 0
    other = detector_of(get_network("googlenet_small"))
    other.model.centerness.bias.data += 0.3  # type: ignore[operator, union-attr]
    other.save(tmp_path / "other")
    (changed,) = benchmark(
        file, engine="onnxruntime", batch_sizes=[1], seconds=0.02, reference=tmp_path / "other", progress=QUIET
    )
    assert changed.reference == "torch fp32"
    assert 0.5 < changed.top1_agreement < 1  # which finds more boxes
    assert 0.001 < changed.max_difference < 0.1
    detector_of(get_network("googlenet_small"), width=64).save(tmp_path / "narrow")
    with pytest.raises(EngineError, match="has other classes or preprocessing"):
        benchmark(file, seconds=0.02, reference=tmp_path / "narrow", progress=QUIET)


@pytest.mark.slow
def test_an_engine_that_loses_boxes_is_not_the_fastest(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "cache"))
    rates = count(1)
    measured: list[str] = []

    def faster_each_time(engine: Engine, images: np.ndarray, seconds: float) -> float:
        measured.append(engine.name)
        return float(next(rates))

    def losing(self: OpenVino, images: np.ndarray) -> list[Boxes]:
        return [boxes.select(range(1, len(boxes), 2)) for boxes in detect(self, images)]

    detect = OpenVino.detect
    monkeypatch.setattr(measuring, "throughput", faster_each_time)
    monkeypatch.setattr(OpenVino, "detect", losing)
    measure_once(detector, progress=QUIET)
    assert set(measured) == {"torch", "onnxruntime"}
    assert saved_choice(detector).engine == "onnxruntime"
    assert str(open_engine(detector)) == "onnxruntime fp32"
