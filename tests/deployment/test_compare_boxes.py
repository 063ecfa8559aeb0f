"""What a detector's exported graph may differ by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inceptorch.deployment.compare_boxes import box_difference, compare_boxes_fp32, compare_boxes_int8, detect, pairs
from inceptorch.errors import ExportError
from inceptorch.images.boxes import Boxes
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.inference.engines.timing import random_images
from tests.deployment.helpers import altered, scaled

IMAGES = random_images((96, 64), 8)


def with_constant(name: str, value: float) -> Callable[[Any], None]:
    """A change of a graph's constant."""

    def change(graph: Any) -> None:
        from onnx import numpy_helper

        (constant,) = (each for each in graph.initializer if each.name == name)
        constant.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(constant), value), name))

    return change


def test_engines_give_the_same_boxes(detector: Path) -> None:
    name, differences = compare_boxes_fp32(detector, graph_of(detector), IMAGES)
    assert name == "torch"
    assert [each.engine for each in differences] == ["onnxruntime", "openvino"]
    assert all(each.boxes > 100 and each.unequal <= 0.01 for each in differences)
    assert all(0 < each.pixels <= 0.1 and each.score <= 1e-4 for each in differences)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda graph: scaled(graph, "decode/exp", 1.05), r"differ by up to [\d.]+ pixels"),
        (lambda graph: scaled(graph, "decode/mean", 1.005), r"and 0.00\d+ in score"),
        (with_constant("nms/max_iou", 0.5), "onnxruntime disagrees with torch on"),
        (with_constant("nms/min_score", 0.055), "of the boxes of 1 images"),
    ],
    ids=["edges", "scores", "overlap", "bound"],
)
def test_a_graph_that_is_a_little_off_is_refused(change: Callable[[Any], None], match: str, detector: Path) -> None:
    with pytest.raises(ExportError, match=match):
        compare_boxes_fp32(detector, altered(graph_of(detector), change), IMAGES)


def test_in_int8_the_good_boxes_must_be_those_of_fp32(detector: Path) -> None:
    graph = graph_of(detector)
    reference = open_graph(graph, "the graph", "onnxruntime")
    same = compare_boxes_int8(reference, graph, IMAGES, 0.08)
    assert [each.engine for each in same] == ["onnxruntime", "openvino"]
    assert all(each.unequal < 0.01 and each.boxes > 20 for each in same)
    assert same[0].boxes < sum(map(len, detect(reference, IMAGES)))  # those of lower scores do not count
    rough = altered(graph, lambda each: scaled(each, "decode/exp", 1.05))
    assert all(each.pixels > 0.1 and each.unequal < 0.1 for each in compare_boxes_int8(reference, rough, IMAGES, 0.08))
    with pytest.raises(ExportError, match=r"Cannot export in int8: on onnxruntime, \d+% of the boxes are others"):
        compare_boxes_int8(reference, altered(graph, lambda each: scaled(each, "decode/exp", 3.0)), IMAGES, 0.08)


def boxes(*rows: tuple[float, float, float, float, int, float]) -> Boxes:
    return Boxes.of([row[:4] for row in rows], [row[4] for row in rows], [row[5] for row in rows])


def test_boxes_are_paired_by_class_and_overlap_each_once() -> None:
    one = boxes((0, 0, 10, 10, 0, 0.9), (0, 0, 10, 9, 0, 0.8), (50, 50, 60, 60, 1, 0.7), (5, 5, 5, 9, 0, 0.6))
    other = boxes((0, 0, 10, 9, 0, 0.9), (50, 50, 60, 60, 0, 0.7), (5, 5, 5, 9.05, 0, 0.6))
    assert sorted(pairs(one, other, 0.6)) == [(1, 0), (3, 2)]  # the last ones have no area
    assert list(pairs(one, Boxes(), 0.6)) == []


def test_differences_are_of_equal_boxes_and_the_others_are_counted() -> None:
    one = boxes((0, 0, 10, 10, 0, 0.9), (20, 20, 30, 30, 1, 0.5))
    other = boxes((0, 0, 10.05, 10, 0, 0.90005), (20, 21, 30, 30, 1, 0.5))
    strict = box_difference("any", [one], [other], 0.6, 0.1, 1e-4)
    assert (strict.boxes, strict.unequal) == (2, 0.5)
    assert strict.pixels == pytest.approx(0.05)
    assert strict.score == pytest.approx(5e-5, rel=0.01)
    free = box_difference("any", [one], [other], 0.6)
    assert (free.unequal, free.pixels) == (0, 1)
    assert box_difference("any", [Boxes()], [Boxes()], 0.6).unequal == 0
    assert box_difference("any", [Boxes()], [one], 0.6).unequal == 1


def test_a_large_stack_is_detected_in_batches(detector: Path) -> None:
    engine = open_engine(detector, "onnxruntime")
    together, alone = detect(engine, IMAGES, 3), detect(engine, IMAGES, 1)
    assert len(together) == 8
    assert box_difference("any", together, alone, 0.6, 0.1, 1e-4).unequal == 0
