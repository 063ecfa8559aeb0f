"""Checks of DATA before training. `check.py` runs them, `scan.py` reads every image once, `images.py`, `duplicates.py`,
`classes.py`, `boxes.py` and `labels.py` find faults, and `findings.py` lists the kinds of faults."""

from inceptorch.checks.check import check
from inceptorch.checks.findings import KINDS, Finding, Findings, Kind

__all__ = ["KINDS", "Finding", "Findings", "Kind", "check"]
