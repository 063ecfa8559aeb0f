"""Judging: protocols of crops, ensembles, saved predictions, scores and how sure one can be of them."""

from inceptorch.evaluation.judging import Evaluation, Mistake, evaluate, judge, judgement
from inceptorch.evaluation.outputs import log_probabilities, outputs_of, pictures_at_once
from inceptorch.evaluation.table import Row, crops_and_models

__all__ = [
    "Evaluation",
    "Mistake",
    "Row",
    "crops_and_models",
    "evaluate",
    "judge",
    "judgement",
    "log_probabilities",
    "outputs_of",
    "pictures_at_once",
]
