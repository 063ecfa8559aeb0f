"""Batches in several threads."""

from types import SimpleNamespace
from typing import Any

from inceptorch.inference.engines.torch import Torch
from inceptorch.inference.pipeline import in_batches, map_batches
from tests.conftest import TINY
from tests.helpers import classifier_of


def test_batches_are_whole_but_the_last() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_results_are_in_order() -> None:
    engine = Torch(classifier_of(TINY), device="cpu")
    assert list(map_batches(engine, sum, range(10), 4)) == [6, 22, 17]


def test_two_batches_are_taken_in_advance_for_each_thread() -> None:
    engine: Any = SimpleNamespace(name="onnxruntime", max_concurrency=1)
    items = iter(range(100))
    results = map_batches(engine, sum, items, 4, threads=3)
    assert next(results) == 6
    assert next(items) == 6 * 4
    assert sum(results) == sum(range(100)) - 6 - 24
