"""GoogLeNet's detection entry of 2014 as a study. `study.py` runs it, `page.py` shows it."""

from inceptorch.papers.studies.detection_2014.study import run_detection_2014

__all__ = ["run_detection_2014"]
