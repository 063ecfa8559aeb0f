"""Training a classifier. `loop.py` is the story of a run: on what (`work.py`), epoch by epoch (`epoch.py`), step by step
(`step.py`, `objective.py`); `run.py` is the folder it leaves."""

from inceptorch.training.loop import Result, resume, train
from inceptorch.training.rates import Rates, find_rate
from inceptorch.training.rehearsal import Rehearsal, rehearse
from inceptorch.training.run import read_asked

__all__ = ["Rates", "Rehearsal", "Result", "find_rate", "read_asked", "rehearse", "resume", "train"]
