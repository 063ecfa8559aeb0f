"""Looking DATA over before it is trained on: `checking.py` is the order of things, `survey.py` reads every image once,
`images.py`, `duplicates.py`, `classes.py` and `labels.py` say what is wrong, `findings.py` is the list of what can be."""

from inceptorch.checks.check import check
from inceptorch.checks.findings import KINDS, Finding, Findings, Kind

__all__ = ["KINDS", "Finding", "Findings", "Kind", "check"]
