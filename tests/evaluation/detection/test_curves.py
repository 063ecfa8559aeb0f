"""Resamples by weights equal scores of the images that were drawn."""

import numpy as np
import pytest

from inceptorch.evaluation.detection import evaluate_boxes, get_rule
from inceptorch.evaluation.detection.curves import Curves, interval
from inceptorch.evaluation.detection.matching import Pool, match, object_thresholds, pairs_of
from inceptorch.images.boxes import Boxes

CLASSES = ["cat", "dog", "rare"]
RESAMPLES = 30


@pytest.mark.parametrize("name", ["voc", "voc07", "coco", "ilsvrc"])
def test_a_resample_scores_as_its_images_do(name: str) -> None:
    random = np.random.default_rng(0)
    truths, found = [], []
    for image in range(6):
        true = Boxes.of(np.tile([0.0, 0, 20, 20], (5, 1)) + 30 * np.arange(5)[:, None], random.integers(0, 2, 5))
        if image == 5:  # the only one of this class, which some resamples lack
            true = Boxes.of(true.xyxy, [2] * 5, difficult=[True, False, False, False, False])
        moved = np.concatenate([true.xyxy + random.normal(0, 3, (5, 4)), true.xyxy + 300])
        truths.append(true)
        found.append(Boxes.of(moved, np.tile(true.labels, 2), random.random(10)))
    rule = get_rule(name)
    objects, detections = Pool.of(truths, 3), Pool.of(found, 3)
    thresholds = object_thresholds(objects, rule)
    pairs = pairs_of(objects, detections, thresholds[0], inclusive=rule.inclusive)
    matches = match(objects, detections, pairs, thresholds, rule)
    curves = Curves.of(objects, detections, matches, ~objects.passed_over, rule)
    first, every = curves.resampled(6, 3, RESAMPLES, seed=1)
    draws = np.random.default_rng(1).multinomial(6, np.full(6, 1 / 6), RESAMPLES)
    assert not draws[:, 5].all()
    for number, draw in enumerate(draws):
        images = np.repeat(np.arange(6), draw)
        drawn = evaluate_boxes([truths[i] for i in images], [found[i] for i in images], CLASSES, name, bootstrap=0)
        assert first[number] == pytest.approx(drawn.map50, abs=1e-5)
        assert every[number] == pytest.approx(drawn.map if name == "coco" else drawn.map50, abs=1e-5)


def test_an_interval_has_its_bias_taken_off() -> None:
    """Resamples of 0.5 and 0.6 are 0.05 above the estimate, so its center is 0.45; their deviation is 0.0707, times
    1.96, times the root of 4/3."""
    half = 1.959964 * 0.1 / 2**0.5 * (4 / 3) ** 0.5
    assert interval(0.5, np.array([0.5, 0.6]), 4) == pytest.approx((0.45 - half, 0.45 + half))
    assert interval(0.98, np.array([0.9, 0.99]), 4)[1:] == (1.0,)  # type: ignore[index]
    assert interval(0.5, np.array([0.7, 0.7]), 4) == pytest.approx((0.3, 0.5))  # it holds the estimate
    assert interval(1.0, np.ones(9), 4) == (1.0, 1.0)
    assert interval(None, np.zeros(9), 4) is None
    assert interval(0.5, np.zeros(0), 4) is None
