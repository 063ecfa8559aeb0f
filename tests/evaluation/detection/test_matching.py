"""Pools keep the order that rules want, and pairs equal those of all boxes with all."""

import numpy as np

from inceptorch.evaluation.detection.matching import PAIRS, Pool, pairs_of
from inceptorch.images.boxes import Boxes, iou


def test_a_pool_is_sorted_by_image_class_and_score_and_equal_scores_stay() -> None:
    boxes = [
        Boxes.of(np.zeros((5, 4)), [1, 0, 1, 1, 0], [0.5, 0.1, 0.9, 0.5, 0.1]),
        Boxes(),
        Boxes.of(np.zeros((1, 4)), [0]),
    ]
    pool = Pool.of(boxes, 2)
    assert pool.images.tolist() == [0, 0, 0, 0, 0, 2]
    assert pool.indices.tolist() == [1, 4, 2, 0, 3, 0]
    assert pool.ranks.tolist() == [0, 1, 0, 1, 2, 0]
    best = Pool.of(boxes, 2, max_boxes=1)
    assert best.indices.tolist() == [1, 2, 0]
    assert best.images.tolist() == [0, 0, 2]


def test_more_pairs_than_are_compared_at_once() -> None:
    random = np.random.default_rng(0)
    sides = [(700, 800), (900, 700), (3, 1)]
    assert sum(one * other for one, other in sides) > PAIRS

    def boxes(count: int) -> Boxes:
        corners = random.integers(0, 400, (count, 2))
        return Boxes.of(np.concatenate([corners, corners + random.integers(1, 60, (count, 2))], 1), np.zeros(count))

    truths, found = [boxes(one) for one, _ in sides], [boxes(other) for _, other in sides]
    objects, detections = Pool.of(truths, 1), Pool.of(found, 1)
    pairs = pairs_of(objects, detections, np.full(len(objects), 0.5))
    expected = []
    for image, (true, given) in enumerate(zip(truths, found, strict=True)):
        overlaps = iou(given.xyxy, true.xyxy)
        expected += [(image, *place, overlaps[place]) for place in zip(*np.nonzero(overlaps >= 0.5), strict=True)]
    images, numbers = detections.images[pairs.found], detections.indices[pairs.found]
    got = list(zip(images, numbers, objects.indices[pairs.truth], pairs.overlap, strict=True))
    assert got == expected
