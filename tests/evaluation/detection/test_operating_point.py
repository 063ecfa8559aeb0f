"""Thresholds, precision and recall there, and mistakes, on cases worked out by hand."""

import numpy as np
import pytest

from inceptorch.errors import NonFiniteOutputError
from inceptorch.evaluation.detection import (
    Mistakes,
    at_threshold,
    at_thresholds,
    best_threshold,
    evaluate_boxes,
    mistakes,
)
from inceptorch.images.boxes import Boxes

CLASSES = ["cat", "dog"]
CAT, DOG, FAR = [0.0, 0, 20, 20], [40.0, 0, 60, 20], [0.0, 100, 20, 120]


def test_the_best_threshold() -> None:
    """Right 0.9, false 0.8, right 0.5, false 0.5, false 0.2 of 2 objects: F1 is 2/3 at 0.9, 1/2 at 0.8 and 4/6 at 0.5,
    where two go together; of equal ones the highest score."""
    truths = [Boxes.of([CAT, DOG], [0, 1]), Boxes()]
    found = [
        Boxes.of([CAT, FAR, DOG, FAR], [0, 0, 1, 1], [0.9, 0.8, 0.5, 0.5]),
        Boxes.of([FAR], [1], [0.2]),
    ]
    assert best_threshold(truths, found, CLASSES) == pytest.approx(0.9)
    assert at_threshold(truths, found, CLASSES, 0.5) == {
        "threshold": 0.5,
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
    }
    assert at_threshold(truths, found, CLASSES, 0.1)["precision"] == 2 / 5
    found[0] = found[0].select([0, 1, 2])
    assert best_threshold(truths, found, CLASSES) == pytest.approx(0.5)  # 4/5


def test_the_best_threshold_equals_trying_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        truths = [Boxes.of(np.array([CAT, DOG, FAR]), random.integers(0, 2, 3)) for _ in range(4)]
        found = [
            Boxes.of(np.tile(each.xyxy, (2, 1)), np.tile(each.labels, 2) ^ (random.random(6) < 0.2), scores)
            for each in truths
            for scores in [random.integers(1, 9, 6) / 8]
        ]
        tried = {score: at_threshold(truths, found, CLASSES, score)["f1"] for score in np.arange(1, 9) / 8}
        assert tried[best_threshold(truths, found, CLASSES)] == max(each for each in tried.values() if each is not None)


def test_nothing_right() -> None:
    cat = Boxes.of([CAT], [0])
    assert best_threshold([cat], [Boxes()], CLASSES) == 0.5
    assert at_threshold([cat], [Boxes()], CLASSES, 0.5) == {
        "threshold": 0.5,
        "precision": None,
        "recall": 0.0,
        "f1": 0.0,
    }
    assert at_threshold([Boxes()], [cat], CLASSES, 0.5) == {
        "threshold": 0.5,
        "precision": 0.0,
        "recall": None,
        "f1": None,
    }


def test_scores_of_a_class_are_those_at_the_threshold() -> None:
    truths = [Boxes.of([CAT, DOG, FAR], [0, 1, 1])]
    found = [Boxes.of([CAT, FAR, DOG], [0, 0, 1], [0.9, 0.7, 0.6])]
    got = evaluate_boxes(truths, found, CLASSES, threshold=0.65)
    assert (got.threshold, got.precision, got.recall) == (0.65, 0.5, 1 / 3)
    assert [(each["precision"], each["recall"]) for each in got.per_class.values()] == [(0.5, 1.0), (None, 0.0)]
    best = evaluate_boxes(truths, found, CLASSES)
    assert best.threshold == best_threshold(truths, found, CLASSES)


def test_every_kind_of_mistake() -> None:
    """In the first image, by number: 0 right; 1 the same again; 2 a dog's box called cat; 3 a quarter of the far cat; 4
    background; 5 below the threshold. 6 and 7 are in a crowd and on a difficult cat."""
    crowd, difficult = [200.0, 0, 300, 100], [0.0, 200, 20, 220]
    quarter, background, in_crowd = [0.0, 100, 20, 105], [500.0, 0, 520, 20], [210.0, 0, 230, 20]
    truths = [
        Boxes.of(
            [CAT, DOG, FAR, crowd, difficult],
            [0, 1, 0, 0, 0],
            crowd=[False, False, False, True, False],
            difficult=[False, False, False, False, True],
        ),
        Boxes(),
        Boxes.of([CAT], [1]),
    ]
    found = [
        Boxes.of(
            [CAT, CAT, DOG, quarter, background, FAR, in_crowd, difficult],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0.9, 0.8, 0.7, 0.6, 0.6, 0.1, 0.9, 0.9],
        ),
        Boxes.of([CAT], [0], [0.9]),
        Boxes(),
    ]
    assert mistakes(truths, found, 0.5) == [
        Mistakes(right=[(0, 0)], duplicates=[(1, 0)], confused=[(2, 1)], misplaced=[(3, 2)], false=[4], missed=[1, 2]),
        Mistakes(false=[0]),
        Mistakes(missed=[0]),
    ]
    assert mistakes(truths, found, 0.05)[0].missed == [1]
    assert mistakes([], [], 0.5) == []
    with pytest.raises(NonFiniteOutputError, match="image 0"):
        mistakes(truths[:1], [Boxes.of([CAT], [0], [np.nan])], 0.5)


def test_every_detection_is_in_one_list_and_every_object_right_or_missed() -> None:
    random = np.random.default_rng(1)
    truths, found = [], []
    for _ in range(40):
        corners = random.integers(0, 60, (8, 2)).astype(float)
        true = Boxes.of(np.concatenate([corners, corners + 20], 1), random.integers(0, 2, 8))
        moved = np.tile(true.xyxy, (2, 1)) + random.integers(-6, 7, (16, 1))
        truths.append(true)
        found.append(Boxes.of(moved, random.integers(0, 2, 16), random.random(16)))
    answers = mistakes(truths, found, 0.3)
    for given, each in zip(found, answers, strict=True):
        paired = [number for number, _ in each.right + each.duplicates + each.confused + each.misplaced]
        assert sorted(paired + each.false) == np.flatnonzero(given.scores >= 0.3).tolist()
        assert sorted([truth for _, truth in each.right] + each.missed) == list(range(8))
    point = at_threshold(truths, found, CLASSES, 0.3)
    assert point["recall"] == sum(len(each.right) for each in answers) / 320
    assert all(any(getattr(each, kind) for each in answers) for kind in ("duplicates", "confused", "misplaced"))


def test_points_at_several_thresholds_are_those_at_each() -> None:
    truths, found = [Boxes.of([CAT, DOG], [0, 1])], [Boxes.of([CAT, FAR], [0, 0], [0.9, 0.6])]
    points = at_thresholds(truths, found, CLASSES, [0.5, 0.7])
    assert [point["precision"] for point in points] == [0.5, 1.0]
    assert points[1] == at_threshold(truths, found, CLASSES, 0.7)
