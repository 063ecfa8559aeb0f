"""What is visualized, by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError, TableError
from inceptorch.networks.zoo import get_network
from inceptorch.visualization.objectives import channel
from inceptorch.visualization.subjects import (
    MAX_CHANNELS,
    earlier_layer,
    find_subjects,
    parse_channels,
    read_direction,
)
from tests.helpers import classifier_of, detector
from tests.visualization.helpers import colors_network


def test_labels(tiny: Classifier) -> None:
    def labels(*words: object, **options: object) -> list[str]:
        return [each.label for each in find_subjects(tiny, *words, **options)]  # type: ignore[arg-type]

    layer = list(tiny.model.net.body)[2]
    assert labels(f"{layer}:4") == [f"{layer}:4"]
    assert labels(layer) == [f"{layer}:{number}" for number in range(MAX_CHANNELS)]
    assert labels(layer, channels=[7, 2]) == [f"{layer}:7", f"{layer}:2"]
    assert labels("logits") == tiny.classes
    assert labels(None, target="class 1") == labels("logits:1") == ["class 1"]
    assert labels(f" {layer}:4 - {layer}:1") == [f"{layer}:4 - {layer}:1"]


def test_what_the_network_lacks_is_named(tiny: Classifier) -> None:
    layer = list(tiny.model.net.body)[2]
    cases = [
        (
            (f"{layer}:100000",),
            {},
            rf"Cannot see channel 100000 of layer {layer}: it has \d+ channels\. Try 0 to \d+\.",
        ),
        ((layer,), {"channels": [1, 100000]}, "Cannot see channel 100000"),
        (
            (f"{layer}:1@99,0",),
            {},
            rf"Cannot see place 99,0 of layer {layer}: its map has \d+ columns and \d+ lines\. Try 0,0 to",
        ),
        (("4zz:1",), {}, "Cannot see layer '4zz'"),
        ((None,), {}, "Cannot tell what to visualize"),
        ((layer,), {"target": "class 1"}, "Cannot visualize a layer and a class at once"),
        ((f"{layer}:1",), {"channels": [1]}, "Cannot use --channels here"),
        ((f"{layer}:1",), {"along": torch.ones(3)}, "Cannot use --direction here"),
        ((layer,), {"along": torch.ones(3)}, rf"a direction of 3 values: layer {layer} has \d+ channels"),
        ((layer,), {"along": torch.ones(3), "channels": [1]}, "Cannot use --channels with --direction"),
        ((channel(layer, 100000),), {}, "Cannot see channel 100000"),
    ]
    for words, options, message in cases:
        with pytest.raises(InceptorchError, match=message):
            find_subjects(tiny, *words, **options)  # type: ignore[arg-type]
    with pytest.raises(TableError, match="Cannot visualize a class of a detector"):
        find_subjects(detector(), "logits:1")


def test_images_are_told_apart_by_an_earlier_layer() -> None:
    googlenet = classifier_of(get_network("googlenet"), classes=2)
    for layers, expected in (({"4c"}, "4b"), ({"4c.1.0"}, "4b"), ({"4a", "4e"}, "4d"), ({"logits"}, "5b")):
        assert earlier_layer(googlenet, frozenset(layers)) == expected
    first = next(iter(googlenet.model.net.body))
    assert earlier_layer(googlenet, frozenset([first])) == first
    assert earlier_layer(colors_network(), frozenset(["1"])) == "1"


def test_directions_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, -2]))
    assert read_direction(tmp_path / "a.npy").tolist() == [1, -2]
    (tmp_path / "text.npy").write_text("text")
    np.save(tmp_path / "matrix.npy", np.ones((2, 2)))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    np.save(tmp_path / "nan.npy", np.array([1, np.nan]))
    np.save(tmp_path / "zero.npy", np.zeros(3))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name, message in (
        ("text", "is no array of NumPy"),
        ("pickle", "is no array of NumPy"),
        ("matrix", "holds no vector of numbers"),
        ("words", "holds no vector of numbers"),
        ("nan", "not finite, or only zeros"),
        ("zero", "not finite, or only zeros"),
        ("missing", "does not exist"),
    ):
        with pytest.raises(InceptorchError, match=message):
            read_direction(tmp_path / f"{name}.npy")


def test_channels_are_read() -> None:
    assert parse_channels("0-2, 7,1") == (0, 1, 2, 7)
    for text in ("", "a", "3-1", "-1", "1,,2", "99999999"):
        with pytest.raises(InceptorchError, match=r"Cannot read .* as channels\. Try 0-15,40\."):
            parse_channels(text)
