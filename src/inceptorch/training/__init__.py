"""Training a classifier. `trainer.py` is the story of a run, on what `setup.py` found and built; `step.py` is one step
and `loss.py` what it minimizes, `run.py` the folder it leaves."""

from inceptorch.training.api import resume, train
from inceptorch.training.callbacks import Callback
from inceptorch.training.dry_run import DryRunReport, dry_run
from inceptorch.training.lr_finder import LRCurve, find_lr
from inceptorch.training.run import read_run_config
from inceptorch.training.trainer import Result

__all__ = ["Callback", "DryRunReport", "LRCurve", "Result", "dry_run", "find_lr", "read_run_config", "resume", "train"]
