"""Evaluating detectors: average precision by the rules of Pascal VOC, COCO and ILSVRC, operating points, mistakes."""

from inceptorch.evaluation.detection.operating_point import (
    Mistakes,
    OperatingPoint,
    at_threshold,
    at_thresholds,
    best_threshold,
    mistakes,
)
from inceptorch.evaluation.detection.rules import RULES, Rule, get_rule
from inceptorch.evaluation.detection.scores import (
    RECALLS,
    ClassScore,
    DetectionScores,
    SizeScore,
    evaluate_boxes,
    map50_gain,
    precision_recall,
)

__all__ = [
    "RECALLS",
    "RULES",
    "ClassScore",
    "DetectionScores",
    "Mistakes",
    "OperatingPoint",
    "Rule",
    "SizeScore",
    "at_threshold",
    "at_thresholds",
    "best_threshold",
    "evaluate_boxes",
    "get_rule",
    "map50_gain",
    "mistakes",
    "precision_recall",
]
