import numpy as np
import pytest

from inceptorch.images.boxes import Boxes, intersections, iou, joined

TWO = Boxes.of([[10, 20, 40, 60], [0, 0, 5, 5]], [1, 0], scores=[0.5, 0.25], difficult=[True, False])


def test_sides_and_areas_count_pixels_with_the_right_edge_exclusive() -> None:
    assert TWO.sides.tolist() == [[30, 40], [5, 5]]
    assert TWO.areas.tolist() == [1200, 25]
    assert Boxes.of([[8, 0, 3, 5]], [0]).areas.tolist() == [0]


def test_select_keeps_everything_that_a_box_has() -> None:
    last = TWO.select([1])
    assert (last.xyxy.tolist(), last.labels.tolist(), last.scores.tolist()) == ([[0, 0, 5, 5]], [0], [0.25])
    assert (last.difficult.tolist(), last.crowd.tolist()) == ([False], [False])
    assert len(TWO.select([])) == 0
    assert TWO.select(np.array([True, False])).labels.tolist() == [1]


def test_boxes_follow_their_image() -> None:
    assert TWO.moved((2, 0.5), left=1, top=3).xyxy.tolist() == [[21, 13, 81, 33], [1, 3, 11, 5.5]]
    assert TWO.mirrored(100).xyxy.tolist() == [[60, 20, 90, 60], [95, 0, 100, 5]]
    assert Boxes.of([[-5, 2, 30, 9]], [0]).clipped(20, 8).xyxy.tolist() == [[0, 2, 20, 8]]


def test_json_has_left_top_width_height() -> None:
    assert TWO.to_json(["a", "b"])[0] == {"label": "b", "index": 1, "score": 0.5, "box": [10, 20, 30, 40]}


def test_joined_boxes_come_one_after_the_other() -> None:
    assert joined([TWO, TWO.select([0])]).labels.tolist() == [1, 0, 1]
    assert len(joined([])) == 0


def test_intersection_over_union() -> None:
    one, other = np.array([[0, 0, 10, 10.0]]), np.array([[5, 0, 15, 10.0], [20, 20, 30, 30], [0, 0, 10, 10]])
    assert intersections(one, other).tolist() == [[50, 0, 100]]
    assert iou(one, other)[0] == pytest.approx([50 / 150, 0, 1])
    assert iou(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0]]
