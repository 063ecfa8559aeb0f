"""Scores equal pycocotools', torchmetrics', hand-made ones, and those of a second, plain implementation."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import tensor
from torchmetrics.detection import MeanAveragePrecision

from inceptorch.errors import DataError, NonFiniteOutputError, ProtocolError
from inceptorch.evaluation.detection import RECALLS, RULES, evaluate_boxes, map50_gain, precision_recall
from inceptorch.images.boxes import Boxes, joined

CLASSES = ("cat", "dog", "owl", "never")


def random_boxes(random: np.random.Generator, count: int, *, annotated: bool, difficult: float = 0.0) -> Boxes:
    """Boxes of whole pixels, of all three sizes, many of which overlap; few scores, so that many are equal."""
    corners = random.integers(0, 60, (count, 2)) * random.choice([1, 3])
    sides = random.integers(1, 50, (count, 2)) * random.choice([1, 2, 4], (count, 1))
    none = np.zeros(count, np.bool_)
    return Boxes.of(
        np.concatenate([corners, corners + sides], 1),
        random.integers(0, 3, count),
        None if annotated else random.integers(0, 12, count) / 12,
        crowd=random.random(count) < 0.15 if annotated else none,
        difficult=random.random(count) < difficult,
    )


def random_case(random: np.random.Generator, difficult: float = 0.0) -> tuple[list[Boxes], list[Boxes]]:
    """Objects and detections of one to six images: objects found well, badly or not at all, and false ones."""
    truths, found = [], []
    for _ in range(random.integers(1, 7)):
        true = random_boxes(random, random.choice([0, 3, 12]), annotated=True, difficult=difficult)
        copies = true.select(random.integers(0, len(true), random.integers(0, 2 * len(true))) if len(true) else [])
        moved = copies.xyxy + random.integers(-3, 4, copies.xyxy.shape) * random.choice([0, 1, 2])
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        right = Boxes.of(moved, copies.labels, random.integers(0, 12, len(copies)) / 12)
        false = random_boxes(random, random.choice([0, 2, 450], p=[0.4, 0.59, 0.01]), annotated=False)
        truths.append(true)
        found.append(joined([right, false]).select(random.permutation(len(right) + len(false))))
    return truths, found


def by_pycocotools(truths: list[Boxes], found: list[Boxes]) -> list[float]:
    """The twelve figures; -1 where there is nothing to average."""

    def rows(boxes: list[Boxes]) -> list[dict[str, Any]]:
        return [
            {
                "image_id": image,
                "category_id": int(each.labels[i]),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "score": float(each.scores[i]),
                "iscrowd": int(each.crowd[i]),
            }
            for image, each in enumerate(boxes)
            for i, (left, top, right, bottom) in enumerate(each.xyxy.tolist())
        ]

    def dataset(boxes: list[Boxes]) -> COCO:
        out = COCO()
        out.dataset = {
            "images": [{"id": image} for image in range(len(boxes))],
            "categories": [{"id": label} for label in range(len(CLASSES))],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows(boxes), 1)],
        }
        out.createIndex()
        return out

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(dataset(truths), dataset(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures: list[float] = evaluation.stats.tolist()
    return figures


def test_the_twelve_figures_of_coco_equal_pycocotools() -> None:
    random = np.random.default_rng(0)
    cases = [random_case(random) for _ in range(200)]
    expected = [by_pycocotools(truths, found) for truths, found in cases]
    for (truths, found), figures in zip(cases, expected, strict=True):
        got = evaluate_boxes(truths, found, CLASSES, "coco", bootstrap=0).coco
        assert got is not None
        assert [-1.0 if each is None else each for each in got.values()] == pytest.approx(figures, abs=1e-9)
    # The cases have what can go wrong, and every figure takes values between nothing and all.
    assert all(np.any((column > 0) & (column < 1)) and np.any(column < 0) for column in np.array(expected).T)
    pairs = [pair for case in cases for pair in zip(*case, strict=True)]
    assert any(true.crowd.any() for true, _ in pairs)
    assert any(len(true) and not len(found) for true, found in pairs)
    assert any(len(found) and not len(true) for true, found in pairs)
    assert any(np.bincount(found.labels, minlength=1).max() > 100 for _, found in pairs)
    assert any(len(np.unique(found.scores)) < len(found) for _, found in pairs)


def plain_iou(one: list[float], other: list[float], added: int) -> float:
    """Intersection over union with `added` to every side."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + added
    height = min(one[3], other[3]) - max(one[1], other[1]) + added
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(right - left + added) * (bottom - top + added) for left, top, right, bottom in (one, other)]
    return width * height / (sum(areas) - width * height)


def plain_hit(given: list[float], objects: list[dict[str, Any]], rule: str) -> bool | None:
    """Whether a detection is right, among the objects of its image and class; None where it is to be ignored."""
    best, best_iou = None, 0.0
    for each in objects:
        overlap = plain_iou(given, each["box"], 0 if rule == "voc" else 1)
        if rule == "ilsvrc":
            width, height = (each["box"][i + 2] - each["box"][i] + 1 for i in (0, 1))
            if each["found"] or overlap < min(0.5, width * height / ((width + 10) * (height + 10))):
                continue
        if overlap > best_iou:
            best, best_iou = each, overlap
    if best is None or (rule == "voc" and best_iou < 0.5) or (rule == "voc07" and best_iou <= 0.5):
        return False
    if best["difficult"]:
        return None
    right = not best["found"]
    best["found"] = True
    return right


def plain_ap(truths: list[Boxes], found: list[Boxes], label: int, rule: str) -> float | None:
    """The average precision of a class, one detection after the other."""
    objects = [
        [
            {"box": box, "difficult": difficult, "found": False}
            for box, own, difficult in zip(each.xyxy.tolist(), each.labels, each.difficult, strict=True)
            if own == label
        ]
        for each in truths
    ]
    asked_for = sum(not each["difficult"] for image in objects for each in image)
    if not asked_for:
        return None
    ordered = sorted(
        (-score, image, place, box)
        for image, each in enumerate(found)
        for place, (score, own, box) in enumerate(zip(each.scores, each.labels, each.xyxy.tolist(), strict=True))
        if own == label
    )
    curve, right, seen = [], 0, 0
    for _, image, _, box in ordered:
        hit = plain_hit(box, objects[image], rule)
        if hit is not None:
            right, seen = right + hit, seen + 1
            curve.append((right / asked_for, right / seen))
    if rule == "voc07":
        at = [max((precision for recall, precision in curve if recall >= i * 0.1), default=0.0) for i in range(11)]
        return sum(at) / 11
    area, before = 0.0, 0.0
    for number, (recall, _) in enumerate(curve):
        area += (recall - before) * max(precision for _, precision in curve[number:])
        before = recall
    return area


@pytest.mark.parametrize("rule", ["voc", "voc07", "ilsvrc"])
def test_average_precision_equals_a_plain_implementation(rule: str) -> None:
    random = np.random.default_rng(1)
    for _ in range(100):
        truths, found = random_case(random, difficult=0.0 if rule == "ilsvrc" else 0.2)
        truths = [replace(each, crowd=np.zeros(len(each), np.bool_)) for each in truths]
        found = [each.select(range(min(len(each), 40))) for each in found]
        got = evaluate_boxes(truths, found, CLASSES, rule, bootstrap=0)
        expected = [plain_ap(truths, found, label, rule) for label in range(len(CLASSES))]
        assert [each["ap50"] for each in got.per_class.values()] == pytest.approx(expected, abs=1e-9)
        known = [each for each in expected if each is not None]
        assert got.map50 == (pytest.approx(np.mean(known)) if known else None)


def ap(rule: str, objects: list[list[float]], detections: list[tuple[list[float], float]], **truth: Any) -> Any:
    """Of one class in one image."""
    truths = [Boxes.of(objects, [0] * len(objects), **truth)]
    found = [Boxes.of([box for box, _ in detections], [0] * len(detections), [score for _, score in detections])]
    return evaluate_boxes(truths, found, ["cat"], rule, bootstrap=0).map50


def test_all_points_against_eleven() -> None:
    """Right, false, right, and the third object missed: precisions 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3. The area is
    1/3 * 1 + 1/3 * 2/3 = 5/9. Of eleven recalls, 0 to 0.3 (four) have precision 1, and 0.4 to 0.6 (three) 2/3, which is
    6/11. COCO's 101: 0 to 0.33 (34) have 1, and 0.34 to 0.66 (33) 2/3, which is 56/101."""
    objects: list[list[float]] = [[0.0, 0, 20, 20], [40, 0, 60, 20], [80, 0, 100, 20]]
    detections = [(objects[0], 0.9), ([0.0, 50, 20, 70], 0.8), (objects[1], 0.7)]
    assert ap("voc", objects, detections) == pytest.approx(5 / 9)
    assert ap("voc07", objects, detections) == pytest.approx(6 / 11)
    assert ap("coco", objects, detections) == pytest.approx(56 / 101)
    assert ap("ilsvrc", objects, detections) == pytest.approx(5 / 9)


def test_an_iou_of_one_half_is_enough_but_in_2007() -> None:
    """Detections of the upper half; from 0 to 19 are twenty pixels by the rule of 2007, which counts the last one."""
    assert ap("voc", [[0, 0, 20, 20]], [([0, 0, 20, 10], 1.0)]) == 1.0
    assert ap("coco", [[0, 0, 20, 20]], [([0, 0, 20, 10], 1.0)]) == 1.0
    assert ap("voc07", [[0, 0, 19, 19]], [([0, 0, 19, 9], 1.0)]) == 0.0
    assert ap("voc07", [[0, 0, 19, 19]], [([0, 0, 19, 10], 1.0)]) == 1.0


def test_a_second_hit_is_false_by_pascal_voc_but_may_find_another_object_by_the_others() -> None:
    """The second detection overlaps the first object with an IoU of 18/22, which is taken, and the second object with
    16/24. By VOC it is false: half of the recall at precision 1, then nothing."""
    objects: list[list[float]] = [[0.0, 0, 20, 20], [0, 6, 20, 26]]
    detections = [(objects[0], 0.9), ([0.0, 2, 20, 22], 0.8)]
    assert ap("voc", objects, detections) == 0.5
    assert ap("coco", objects, detections) == 1.0
    assert ap("ilsvrc", objects, detections) == 1.0


def test_small_objects_may_be_found_less_exactly_by_ilsvrc() -> None:
    """An object of 10 x 10 pixels (inclusive 0 to 9) needs 100 / 400 = 0.25: a quarter of it is enough, less is not."""
    assert ap("ilsvrc", [[0, 0, 9, 9]], [([0, 0, 4, 4], 1.0)]) == 1.0
    assert ap("ilsvrc", [[0, 0, 9, 9]], [([0, 0, 4, 3], 1.0)]) == 0.0
    assert ap("voc", [[0, 0, 10, 10]], [([0, 0, 5, 5], 1.0)]) == 0.0


@pytest.mark.parametrize("rule", RULES)
def test_difficult_objects_neither_count_nor_hurt(rule: str) -> None:
    """However often they are found."""
    objects: list[list[float]] = [[0.0, 0, 20, 20], [40, 0, 60, 20]]
    detections = [(objects[1], 0.9), (objects[1], 0.8), (objects[0], 0.7)]
    assert ap(rule, objects, detections, difficult=[False, True]) == pytest.approx(1.0)
    assert ap(rule, objects, detections, difficult=[False, False]) != pytest.approx(1.0)
    assert ap(rule, objects, detections, difficult=[True, True]) is None


@pytest.mark.parametrize("rule", RULES)
def test_detections_in_a_crowd_are_ignored_but_those_of_objects_are_right(rule: str) -> None:
    objects: list[list[float]] = [[0.0, 0, 200, 200], [40, 40, 80, 80]]
    detections = [([100.0, 100, 120, 120], 0.9), ([42.0, 40, 80, 80], 0.8)]
    assert ap(rule, objects, detections, crowd=[True, False]) == pytest.approx(1.0)
    assert ap(rule, objects, detections, crowd=[False, False]) < 0.5


def test_map50_equals_torchmetrics() -> None:
    random = np.random.default_rng(2)
    truths, found = random_case(random)
    truths = [replace(each, crowd=np.zeros(len(each), np.bool_)) for each in truths]
    metric = MeanAveragePrecision(iou_thresholds=[0.5])
    for true, given in zip(truths, found, strict=True):
        metric.update(
            [{"boxes": tensor(given.xyxy), "labels": tensor(given.labels), "scores": tensor(given.scores)}],
            [{"boxes": tensor(true.xyxy), "labels": tensor(true.labels)}],
        )
    got = evaluate_boxes(truths, found, CLASSES, "coco", bootstrap=0)
    assert got.map50 == pytest.approx(float(metric.compute()["map_50"]))


@pytest.mark.parametrize("rule", RULES)
def test_nothing_to_find_and_nothing_found(rule: str) -> None:
    none, cat = Boxes(), Boxes.of([[0, 0, 30, 30]], [0])
    nothing_asked = evaluate_boxes([none, none], [cat, none], CLASSES, rule)
    assert (nothing_asked.map50, nothing_asked.objects, nothing_asked.recall) == (None, 0, None)
    nothing_found = evaluate_boxes([cat, none], [none, none], CLASSES, rule)
    assert (nothing_found.map50, nothing_found.objects, nothing_found.threshold) == (0.0, 1, None)
    assert nothing_found.per_class["cat"]["ap50"] == 0.0
    assert nothing_found.per_class["dog"] == {"n": 0, "ap50": None, "ap": None, "recall": None, "precision": None}
    no_images = evaluate_boxes([], [], CLASSES, rule)
    assert (no_images.n, no_images.map50, no_images.intervals["map50"]) == (0, None, None)
    for scores in (nothing_asked, nothing_found, no_images):
        json.dumps(scores.to_dict(), allow_nan=False)


@pytest.mark.parametrize("rule", RULES)
def test_false_detections_in_images_without_objects_count(rule: str) -> None:
    cat = Boxes.of([[0, 0, 30, 30]], [0])
    false = Boxes.of([[0, 0, 30, 30]], [0], [0.9])
    right = Boxes.of([[0, 0, 30, 30]], [0], [0.8])
    assert evaluate_boxes([cat, Boxes()], [right, false], CLASSES, rule).map50 == pytest.approx(0.5)


def test_what_cannot_be_evaluated_is_refused() -> None:
    cat = Boxes.of([[0, 0, 30, 30]], [0])
    with pytest.raises(NonFiniteOutputError, match="a detection in image 1 has a score or corner that is nan"):
        evaluate_boxes([cat, cat], [cat, Boxes.of([[0, 0, 30, 30]], [0], [np.nan])], CLASSES)
    with pytest.raises(NonFiniteOutputError, match="a detection in image 0"):
        evaluate_boxes([cat], [Boxes.of([[0, 0, np.inf, 30]], [0])], CLASSES)
    with pytest.raises(DataError, match="an annotation of image 0 is nan"):
        evaluate_boxes([Boxes.of([[0, 0, np.nan, 30]], [0])], [cat], CLASSES)
    with pytest.raises(ProtocolError, match="annotations of 2 images, and detections in 1"):
        evaluate_boxes([cat, cat], [cat], CLASSES)
    for label in (-1, 4):
        with pytest.raises(ProtocolError, match="a class outside of 0 to 3"):
            evaluate_boxes([cat], [Boxes.of([[0, 0, 30, 30]], [label])], CLASSES)
    with pytest.raises(ProtocolError, match="there are no classes"):
        evaluate_boxes([], [], [])
    with pytest.raises(ProtocolError, match="Cannot evaluate boxes by 'cocoo': did you mean 'coco'?"):
        evaluate_boxes([cat], [cat], CLASSES, "cocoo")


def test_json_of_every_rule() -> None:
    truths, found = random_case(np.random.default_rng(3))
    for rule in RULES:
        answer = evaluate_boxes(truths, found, CLASSES, rule).to_dict()
        json.dumps(answer, allow_nan=False)
        assert ("map" in answer) == ("coco" in answer) == ("ap" in answer["per_class"]["cat"]) == (rule == "coco")
        assert answer["protocol"] == RULES[rule].describe()
        assert set(answer["per_size"]) == {"small", "medium", "large"}
        assert sum(each["n"] for each in answer["per_class"].values()) == answer["objects"]


@pytest.mark.parametrize("rule", RULES)
def test_an_image_with_ten_thousand_detections(rule: str) -> None:
    """Every one of them overlaps every object, the worst case."""
    random = np.random.default_rng(4)
    objects = Boxes.of(np.tile([0.0, 0, 50, 50], (20, 1)) + random.integers(0, 3, (20, 1)), np.zeros(20))
    found = Boxes.of(np.tile(objects.xyxy, (500, 1)), np.zeros(10_000), random.random(10_000))
    got = evaluate_boxes([objects], [found], CLASSES, rule, bootstrap=0)
    assert got.per_class["cat"]["recall"] == 1.0
    assert got.map50 is not None


def test_intervals_contain_the_truth_nine_times_in_ten() -> None:
    """Of samples of 40 images of 2000, by the rule of many thresholds; images differ in how hard they are."""
    random = np.random.default_rng(5)
    truths, found = [], []
    for hard in random.beta(1, 3, 2000):
        true = Boxes.of(np.tile([0.0, 0, 20, 20], (4, 1)) + 40 * np.arange(4)[:, None], random.integers(0, 2, 4))
        moved = true.xyxy + random.normal(0, 1.5, (4, 4))
        right = Boxes.of(moved, true.labels, random.beta(4, 2, 4)).select(random.random(4) > hard)
        false = Boxes.of(true.xyxy + 400, random.integers(0, 2, 4), random.beta(2, 3, 4)).select(
            random.random(4) < hard
        )
        truths.append(true)
        found.append(joined([right, false]))
    whole = evaluate_boxes(truths, found, CLASSES, "coco", bootstrap=0)
    held = {"map50": 0, "map": 0}
    for seed in range(100):
        chosen = random.integers(0, 2000, 40)
        part = evaluate_boxes([truths[i] for i in chosen], [found[i] for i in chosen], CLASSES, "coco", 200, seed)
        for name, interval in (("map50", part.intervals["map50"]), ("map", part.intervals["map"])):
            assert interval is not None
            low, high = interval
            held[name] += low <= getattr(whole, name) <= high
            assert low <= getattr(part, name) <= high
    assert all(86 <= count <= 99 for count in held.values()), held


def test_a_seed_gives_the_same_intervals() -> None:
    truths, found = random_case(np.random.default_rng(8))
    first, again, other = (evaluate_boxes(truths, found, CLASSES, bootstrap=50, seed=seed) for seed in (1, 1, 2))
    assert first.intervals == again.intervals != other.intervals
    assert evaluate_boxes(truths[:1], found[:1], CLASSES).intervals == {"map50": None, "map": None}


def test_of_two_objects_of_equal_iou_the_last_is_found_by_coco_and_the_first_by_ilsvrc() -> None:
    """The first detection lies in the middle of both (16/24 each), the second one above, near the first object only."""
    objects: list[list[float]] = [[0.0, 10, 20, 30], [0, 18, 20, 38]]
    detections = [([0.0, 14, 20, 34], 0.9), ([0.0, 4, 20, 24], 0.8)]
    assert ap("coco", objects, detections) == pytest.approx(1.0)
    assert ap("ilsvrc", objects, detections) == 0.5
    truths, found = [Boxes.of(objects, [0, 0])], [Boxes.of([box for box, _ in detections], [0, 0], [0.9, 0.8])]
    assert by_pycocotools(truths, found)[1] == pytest.approx(1.0)


def test_the_curve_of_a_class_holds_its_average_precision() -> None:
    """COCO's AP is the mean over the 101 recalls of the curve."""
    random = np.random.default_rng(3)
    for _ in range(20):
        truths, found = random_case(random, difficult=0.2)
        scores = evaluate_boxes(truths, found, CLASSES, "coco", bootstrap=0).per_class
        for name, curve in precision_recall(truths, found, CLASSES, "coco").items():
            if scores[name]["ap50"] is None:
                assert curve is None
            else:
                assert curve is not None
                assert curve.shape == RECALLS.shape
                assert curve.mean() == pytest.approx(scores[name]["ap50"])


def test_precision_at_a_recall_is_the_greatest_at_it_or_a_higher_one() -> None:
    """Right, false, right, right of four objects: precision 1 up to recall 1/4, then 3/4 up to 3/4, then nothing."""
    edges = [[left, 0, left + 9, 9] for left in (0, 20, 40, 60, 80)]
    truths = [Boxes.of(edges[:4], [0] * 4)]
    found = [Boxes.of([edges[0], edges[4], *edges[1:3]], [0] * 4, [0.9, 0.8, 0.7, 0.6])]
    curve = precision_recall(truths, found, ["cat", "dog"])["cat"]
    assert curve is not None
    assert curve[[0, 25, 26, 75, 76, 100]].tolist() == [1, 1, 0.75, 0.75, 0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_a_gain_is_the_difference_of_two_scores_on_the_same_images(rule: str) -> None:
    random = np.random.default_rng(3)
    cases = [random_case(random) for _ in range(12)]
    truths, found = (sum((case[part] for case in cases), list[Boxes]()) for part in (0, 1))
    worse = [boxes.select(np.arange(len(boxes)) % 3 > 0) for boxes in found]
    gain, low, high = map50_gain(truths, found, worse, CLASSES, rule)
    first, second = (evaluate_boxes(truths, each, CLASSES, rule) for each in (found, worse))
    assert first.map50 is not None
    assert second.map50 is not None
    assert gain == pytest.approx(first.map50 - second.map50)
    assert low <= gain <= high
    apart = first.intervals["map50"], second.intervals["map50"]
    assert apart[0] is not None
    assert high - low < apart[0][1] - apart[0][0]  # as the images are the same
    assert map50_gain(truths, found, found, CLASSES, rule) == pytest.approx((0, 0, 0))
    back = map50_gain(truths, worse, found, CLASSES, rule)
    assert back == pytest.approx((-gain, -high, -low))
    assert np.isnan(map50_gain([Boxes()], [Boxes()], [Boxes()], CLASSES, rule)).all()
