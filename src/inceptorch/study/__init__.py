"""Claims of the papers put to the test: `studies.py` is the list, `grid.py` runs one, `page.py` and `plot.py` show it."""

from inceptorch.study.grid import run_study
from inceptorch.study.studies import STUDIES, Results, Study, find_study

__all__ = ["STUDIES", "Results", "Study", "find_study", "run_study"]
