"""Evaluating: protocols of crops, ensembles, saved predictions, scores and how sure one can be of them."""

from inceptorch.evaluation.boxes import BoxEvaluation, evaluate_on_boxes
from inceptorch.evaluation.compare import ComparisonRow, compare_crops_and_ensembles
from inceptorch.evaluation.evaluation import Evaluation, Mistake, evaluate, evaluate_split, evaluation_from_logits

__all__ = [
    "BoxEvaluation",
    "Evaluation",
    "Mistake",
    "ComparisonRow",
    "compare_crops_and_ensembles",
    "evaluate",
    "evaluate_on_boxes",
    "evaluate_split",
    "evaluation_from_logits",
]
