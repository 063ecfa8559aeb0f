"""bench: engines measured side by side, and the layers of a network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from inceptorch.cli import app
from inceptorch.deployment import benchmark as measuring
from inceptorch.deployment import peak
from inceptorch.deployment.benchmark import benchmark
from inceptorch.deployment.cold_start import cold_start
from inceptorch.deployment.per_layer import layer_times
from inceptorch.errors import EngineError
from inceptorch.inference.engines import ENGINES, available, open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.inference.engines.selection import TOLERANCE, remembered
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from inceptorch.utils.progress import Progress
from tests.conftest import TINY
from tests.helpers import classifier_of

HEAVY = NetworkSpec(
    "heavy",
    title="one layer does nearly all the work",
    source="these tests",
    size=64,
    body={"first": Conv(16, 1), "work": Conv(256, 7), "last": Conv(4, 1)},
    head={"avgpool": GlobalAverage()},
)


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    classifier_of(tiny).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round instead of three, and short products of matrices."""
    monkeypatch.setattr(measuring, "ROUNDS", 1)
    monkeypatch.setattr(peak, "SECONDS", 0.05)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, words)])


@pytest.mark.usefixtures("quick")
def test_every_engine_is_measured_and_the_fastest_is_remembered(bundle: Path, tmp_path: Path) -> None:
    result = invoke(bundle, "--batch", "3", "--seconds", "0.05", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert {(each["engine"], each["precision"]) for each in measured} == set(available(bundle))
    for each in measured:
        assert each["batch_size"] == 3
        assert each["reference"] == "torch fp32"
        assert 0 < each["p50_ms"] <= each["p99_ms"]
        assert 0.05 < each["cold_start_s"] < 60
        assert 20 < each["memory_mib"] < 4000
        assert 0 < each["fraction_of_peak"] < 1
        assert each["max_difference"] < (1e-5 if each["precision"] == "fp32" else 0.05)
    rates = [each["images_per_second"] for each in measured]
    assert rates == sorted(rates, reverse=True)
    with Image.open(tmp_path / "out" / "bench.png") as image:
        assert image.width > 500
    fastest = next(each for each in measured if each["max_difference"] <= TOLERANCE)
    way = remembered(bundle)
    assert (way.engine, way.precision, way.streams) == (fastest["engine"], fastest["precision"], fastest["streams"])


@pytest.mark.usefixtures("quick")
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
    assert remembered(file).per_second == 0  # one engine alone decides nothing

    benchmark(file, batch_sizes=[1], seconds=0.02, progress=Progress(quiet=True))
    found = remembered(file)
    assert found.per_second > 0
    benchmark(file, batch_sizes=[1], seconds=0.02, reference=tmp_path / "other", progress=Progress(quiet=True))
    assert remembered(file) == found  # none agrees with another classifier; what was known stays

    classifier_of(TINY, classes=6).save(tmp_path / "six")
    with pytest.raises(EngineError, match="has other classes or preprocessing"):
        benchmark(file, seconds=0.02, reference=tmp_path / "six", progress=Progress(quiet=True))


def test_memory_is_that_of_the_process_alone(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(graph_of(bundle))
    mine = np.ones(100_000_000)  # 763 MiB, which getrusage would count for a process started from here
    fresh = cold_start(file, "onnxruntime", "fp32", 1, 2)
    assert mine[-1] == 1
    assert fresh.memory_mib is None or 20 < fresh.memory_mib < 400


@pytest.mark.parametrize("name", ENGINES)
def test_the_layer_that_does_the_work_takes_the_time(name: str, tmp_path: Path) -> None:
    classifier_of(HEAVY).save(tmp_path / "heavy")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other take any time on a machine with other work
    try:
        times = layer_times(open_engine(tmp_path / "heavy", name, "fp32"))
    finally:
        torch.set_num_threads(threads)
    found = {each.layer: each for each in times}
    counted = count_complexity(HEAVY, num_classes=7)
    assert [each.layer for each in times if not each.layer.startswith("(")] == [layer.name for layer in counted.layers]
    assert {each.layer: each.macs for each in times if each.macs} == {
        layer.name: layer.macs for layer in counted.layers if layer.macs
    }
    assert sum(each.fraction for each in times) == pytest.approx(1)
    assert sum(each.macs_fraction for each in times) == pytest.approx(1)
    assert found["work"].ms == max(each.ms for each in times)
    assert found["first"].ms > 0
    assert found["last"].ms > 0


def test_layers_as_text_json_and_image(bundle: Path, tmp_path: Path) -> None:
    words = (bundle, "--per-layer", "--engine", "onnxruntime", "--batch", "2")
    result = invoke(*words, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    first, header, *lines = result.stdout.splitlines()
    assert first == "bundle on onnxruntime fp32, batch 2"
    assert header.split() == ["layer", "ms", "time", "multiply-adds", "fraction"]
    layers = json.loads(invoke(*words, "--json").stdout)
    assert [line.split()[0] for line in lines] == [*(each["layer"] for each in layers), "total"]
    assert (tmp_path / "layers.png").stat().st_size > 5000


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_peak_is_that_of_a_processor(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "SECONDS", 0.05)
    found = peak.peak(precision)
    assert found is not None
    assert 1e8 < found < 1e15


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch", "1,x"], "is not a list of whole numbers such as 1,16"),
        (["--batch", "0"], "must be from 1 to 4096"),
        (["--batch", "100000000"], "must be from 1 to 4096"),
        (["--engine", "openvin"], "did you mean 'openvino'"),
        (["--precision", "bf16"], "--precision needs --per-layer"),
        (["--per-layer", "--data", "."], "leave out --data and --reference"),
        (["--data", "nowhere.png"], "nowhere.png holds no image that can be read: nowhere.png does not exist."),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(words: list[str], sentence: str, bundle: Path) -> None:
    result = invoke(bundle, *words)
    assert sentence in str(result.exception)


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="is not an ONNX file"):
        cold_start(tmp_path / "a.onnx", "onnxruntime", "fp32", 1, 1)
