"""Rules are data that is checked, and say what they are."""

import re
from typing import Any

import pytest

from inceptorch.errors import ProtocolError
from inceptorch.evaluation.detection import RULES, Rule, evaluate_boxes, get_rule
from inceptorch.images.boxes import Boxes


def test_the_table_of_rules() -> None:
    assert list(RULES) == ["voc", "voc07", "coco", "ilsvrc"]
    assert get_rule("coco").thresholds == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
    assert all(rule.thresholds == (0.5,) for name, rule in RULES.items() if name != "coco")
    assert all(len(rule.describe().split()) <= 30 for rule in RULES.values())
    assert RULES["coco"].describe() == (
        "COCO: precision at 101 recalls, IoU >= 0.50 to 0.95 (mean of 10), at most 100 boxes per image and class."
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"thresholds": ()}, "Rule 'mine': thresholds is []; it must be a list of numbers"),
        ({"thresholds": (0.5, 0.5)}, "must be numbers above 0, up to 1, each above the one before"),
        ({"thresholds": (0.0,)}, "must be numbers above 0"),
        ({"thresholds": (1.01,)}, "must be numbers above 0"),
        ({"match": "any"}, "match is 'any'; it must be one of best, free"),
        ({"max_boxes": -1}, "max_boxes is -1; it must be a whole number from 0 on"),
    ],
)
def test_values_that_make_no_rule(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProtocolError, match=re.escape(sentence)):
        Rule("mine", "Mine", **values)


def test_a_rule_of_ones_own() -> None:
    """A detection of IoU 0.8 is right at one of two thresholds; a second box is not looked at."""
    truths, found = [Boxes.of([[0, 0, 10, 10]], [0])], [Boxes.of([[50, 0, 60, 10], [0, 0, 10, 8]], [0, 0], [0.3, 0.4])]
    got = evaluate_boxes(truths, found, ["cat"], Rule("mine", "Mine", (0.75, 0.85), max_boxes=1))
    assert (got.map50, got.map, got.coco) == (1.0, 0.5, None)
    assert got.protocol.startswith(
        "Mine: precision over the whole curve, IoU >= 0.75 to 0.85 (mean of 2), at most 1 box"
    )
