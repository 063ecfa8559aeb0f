"""Claims of the papers put to the test. `studies.yaml` lists them, `grid.py` runs one, `page.py` shows it."""

from inceptorch.papers.studies.grid import run_study
from inceptorch.papers.studies.studies import STUDIES, Results, Study, get_study

__all__ = ["STUDIES", "Results", "Study", "get_study", "run_study"]
