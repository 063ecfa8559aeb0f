"""Training a classifier: `loop.py` is the whole story, read top to bottom; `run.py` is the folder it leaves."""

from inceptorch.training.loop import Result, resume, train
from inceptorch.training.rates import Rates, find_rate
from inceptorch.training.rehearsal import Rehearsal, measure, rehearse
from inceptorch.training.speed import Way

__all__ = ["Rates", "Rehearsal", "Result", "Way", "find_rate", "measure", "rehearse", "resume", "train"]
