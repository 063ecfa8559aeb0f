"""What an exported graph may differ by."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inceptorch.deployment.compare import _apart, compare_fp32, compare_int8
from inceptorch.errors import ExportError
from inceptorch.inference.engines import EngineOutput
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.inference.engines.timing import random_images
from tests.deployment.helpers import altered, scaled

CROPS = random_images(16, 8)


@pytest.mark.parametrize(("node", "largest"), [("linear/linear", 1e-5), ("maps/product", 1e-4)])
def test_a_small_difference_is_refused_too(node: str, largest: float, bundle: Path) -> None:
    """Of probabilities alone or of maps alone, up to 30 times the largest that is allowed."""
    graph = graph_of(bundle)
    name, differences = compare_fp32(bundle, graph, CROPS)
    assert name == "torch"
    assert [each.engine for each in differences] == ["onnxruntime", "openvino"]
    with pytest.raises(ExportError, match="Probabilities differ by up to") as caught:
        compare_fp32(bundle, altered(graph, lambda each: scaled(each, node, 1.002)), CROPS)
    said = re.findall(r"up to (\S+), activation maps by (\S+) of", str(caught.value))
    probability, maps = map(float, said[0])
    refused, allowed = (probability, maps <= 1e-4) if node == "linear/linear" else (maps, probability <= 1e-5)
    assert largest < refused < 30 * largest
    assert allowed


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: scaled(graph, "softmax", 0.1),  # the most probable class stays the same
        lambda graph: scaled(graph, "linear/linear", 30.0),  # and here
        lambda graph: scaled(graph, "maps/product", 3.0),
    ],
    ids=["sum", "probabilities", "maps"],
)
def test_every_engine_must_give_in_int8_what_fp32_gives(change: Callable[[Any], None], bundle: Path) -> None:
    graph = graph_of(bundle)
    reference = open_graph(graph, "the graph", "onnxruntime")
    same = compare_int8(reference, graph, CROPS)
    assert [each.engine for each in same] == ["onnxruntime", "openvino"]
    assert all(each.probability < 1e-5 and each.map < 1e-4 for each in same)
    with pytest.raises(ExportError, match="Cannot export in int8: on onnxruntime, probabilities differ"):
        compare_int8(reference, altered(graph, change), CROPS)


@pytest.mark.parametrize(("largest", "scale"), [(0.5, 1), (4, 4)])
def test_maps_are_compared_by_their_largest_value_or_1_where_they_are_of_the_same_class(
    largest: float, scale: float
) -> None:
    same, other = np.array([[0, 1]]), np.array([[1, 0]])
    probabilities = np.full((1, 2), 0.5, np.float32)
    maps = np.full((1, 2, 3, 3), largest, np.float32)
    expected = EngineOutput.of_probabilities(probabilities, maps, same)
    found = maps.copy()
    found[0, 1, 2, 0] -= 0.25
    assert _apart(EngineOutput.of_probabilities(probabilities, found, same), expected)[1] == pytest.approx(0.25 / scale)
    of_probabilities, of_maps = _apart(EngineOutput.of_probabilities(probabilities - 0.1, found, other), expected)
    np.testing.assert_allclose(of_probabilities, [[0.1, 0.1]], rtol=1e-5)
    assert of_maps.tolist() == [0]  # equally probable, in another order
