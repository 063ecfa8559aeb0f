"""What a PNG says about its making, and how it is made again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.utils.validation import check_fields
from inceptorch.visualization.dream import DreamSettings, dream
from inceptorch.visualization.png import write_png
from inceptorch.visualization.record import InputFile, Repeat
from inceptorch.visualization.style import StyleSettings, style
from inceptorch.visualization.visualize import VisualizeSettings, visualize
from tests.helpers import classifier_of


@dataclass(frozen=True)
class Settings:
    size: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, InceptorchError)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, str]:
    found = {name: str(tmp_path / f"{name}.png") for name in ("image", "guide")}
    for number, path in enumerate(found.values()):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    return found


def made(tiny: Classifier, files: dict[str, str], folder: Path, **change: Any) -> Repeat:
    """A call that repeats one whose PNG says this."""
    said = Repeat(None, "dream").describe("tiny", tiny, files) | {"size": 3}
    write_png(folder / "made.png", np.zeros((2, 2, 3), np.uint8), said | change)
    return Repeat(folder / "made.png", "dream")


def test_what_is_given_holds_instead_of_what_was(tiny: Classifier, inputs: dict[str, str], tmp_path: Path) -> None:
    earlier = made(tiny, inputs, tmp_path)
    assert earlier.settings(Settings, {"seed": 1}) == Settings(3, 1)
    assert earlier.settings(Settings, {"size": 5}) == Settings(5, 0)
    assert (earlier.model(None), earlier.model("other")) == ("tiny", "other")
    assert earlier.inputs({"image": None, "guide": "there.png", "data": None}) == inputs | {"guide": "there.png"}
    assert (
        earlier.describe("tiny", tiny, inputs)["inputs"]
        == Repeat(None, "dream").describe("tiny", tiny, inputs)["inputs"]
    )


def test_without_a_png_only_what_is_given_holds(tiny: Classifier, inputs: dict[str, str]) -> None:
    first = Repeat(None, "dream")
    assert first.settings(Settings, {"seed": 1}) == Settings(2, 1)
    assert (first.model(None), first.inputs({"image": None})) == (None, {})
    said = first.describe("tiny", tiny, inputs)
    assert (said["command"], said["model"], said["threads"]) == ("dream", "tiny", torch.get_num_threads())


def test_threads_are_as_many_as_then(tiny: Classifier, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with made(tiny, {}, tmp_path, threads=before + 1).threads():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_other_weights_and_inputs_are_named(tiny: Classifier, inputs: dict[str, str], tmp_path: Path) -> None:
    earlier = made(tiny, inputs, tmp_path)

    def refused(classifier: Classifier, now: dict[str, str], said: str) -> None:
        with pytest.raises(InceptorchError, match=said):
            earlier.describe("other", classifier, now)

    refusal = r"Cannot make .*made\.png again: "
    refused(classifier_of(tiny.model.net, classes=4), inputs, refusal + "other has other weights than it was made with")
    refused(tiny, inputs | {"guide": inputs["image"]}, refusal + r".*image\.png is not what it was made from")
    refused(tiny, {"image": str(tmp_path / "gone.png")}, r"gone\.png does not exist")
    with pytest.raises(InceptorchError, match="holiday is not what it was made from"):
        made(tiny, inputs, tmp_path, inputs={"data": {"file": "x", "sha256": "0"}}).same(
            "data", InputFile("holiday", "1")
        )


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 10**6}, {"threads": "all"}, {"threads": 0}, {"weights": None}, {"model": 3}, {"inputs": "x"},
        {"inputs": {"image": {"file": 1}}}, {"size": "large"}, {"size": float("nan")},
    ],
)  # fmt: skip
def test_values_of_a_strangers_file_are_checked(tiny: Classifier, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InceptorchError, match=r"Cannot make .*made\.png again: .* Try another file\."):
        made(tiny, {}, tmp_path, **change).settings(Settings, {})


@pytest.mark.parametrize("where", ["hf-hub:someone/x", "https://example.org/train-{0..9}.tar", "torchvision:CIFAR10"])
def test_nothing_is_fetched_because_a_file_says_so(tiny: Classifier, tmp_path: Path, where: str) -> None:
    earlier = made(tiny, {}, tmp_path, model=where, inputs={"data": {"file": where, "sha256": "0"}})
    with pytest.raises(InceptorchError, match="its model would be fetched"):
        earlier.model(None)
    with pytest.raises(InceptorchError, match="its data would be fetched"):
        earlier.inputs({"data": None})
    assert earlier.inputs({"data": where}) == {"data": where}


@pytest.mark.parametrize(
    ("call", "settings"), [(visualize, VisualizeSettings), (dream, DreamSettings), (style, StyleSettings)]
)
def test_calls_have_the_defaults_that_the_command_has(call: Callable[..., Any], settings: type) -> None:
    arguments = inspect.signature(call).parameters
    ours = {field.name: field.default for field in fields(settings)}
    assert {name: arguments[name].default or None for name in ours} == {name: ours[name] or None for name in ours}
