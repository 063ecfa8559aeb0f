"""Judging: protocols of crops, ensembles, saved predictions, scores and how sure one can be of them."""

from inceptorch.evaluation.compare import Row, crops_and_models
from inceptorch.evaluation.evaluation import Evaluation, Mistake, evaluate, judge, judgement

__all__ = [
    "Evaluation",
    "Mistake",
    "Row",
    "crops_and_models",
    "evaluate",
    "judge",
    "judgement",
]
