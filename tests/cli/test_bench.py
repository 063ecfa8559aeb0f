"""`inceptorch bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from inceptorch.cli import app
from inceptorch.deployment import benchmark as measuring
from inceptorch.deployment import peak
from inceptorch.inference.engines import available
from inceptorch.inference.engines.selection import TOLERANCE, saved_choice
from inceptorch.networks.network import NetworkSpec
from tests.helpers import classifier_of


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
@pytest.mark.slow
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
    way = saved_choice(bundle)
    assert (way.engine, way.precision, way.streams) == (fastest["engine"], fastest["precision"], fastest["streams"])


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch", "1,x"], "is not a list of whole numbers such as 1,16"),
        (["--batch", "0"], "must be from 1 to 4096"),
        (["--batch", "100000000"], "must be from 1 to 4096"),
        (["--engine", "openvin"], "did you mean 'openvino'"),
        (["--precision", "bf16"], "Cannot use --precision without --per-layer"),
        (
            ["--per-layer", "--data", "."],
            "Cannot use --data or --reference with --per-layer: it compares no outputs. Try without them.",
        ),
        (["--data", "nowhere.png"], "nowhere.png holds no image that can be read: nowhere.png does not exist."),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(words: list[str], sentence: str, bundle: Path) -> None:
    result = invoke(bundle, *words)
    assert sentence in str(result.exception)
