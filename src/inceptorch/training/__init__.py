"""Training a classifier: `loop.py` is the whole story, read top to bottom; `run.py` is the folder it leaves."""

from inceptorch.training.loop import Result, resume, train

__all__ = ["Result", "resume", "train"]
