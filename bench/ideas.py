"""The tables of docs/ideas.md: what is computed of an idea, and what its studies found. `ideas.yaml` says which."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bench.common import result
from inceptorch.papers.claims import evaluated_papers
from inceptorch.papers.quantities import Nets
from inceptorch.papers.studies import STUDIES
from inceptorch.papers.studies.page import points
from inceptorch.papers.verdicts import CLAIM, shown, shown_beside
from inceptorch.utils.markdown import markdown

HEAD = ["claim", "source", "printed", "found", "verdict"]


def rows(idea: str) -> str:
    """The table of an idea, as Markdown."""
    chosen = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())[idea]
    computed = [_computed(*each) for each in chosen.get("computed", ())]
    measured = [row for study in chosen.get("studies", ()) for row in _measured(study)]
    return markdown([HEAD, *computed, *measured])


@cache
def _claims() -> dict[tuple[str, str], Any]:
    """Every claim of the papers by paper and claim, evaluated."""
    return {(paper.name, row.name): row for paper in evaluated_papers(Nets()) for row in paper.claims.rows}


def _computed(paper: str, claim: str) -> list[str]:
    row = _claims()[paper, claim]
    (figure,) = row.figures
    assert figure.column == CLAIM
    return [claim, paper, shown(figure.printed), shown_beside(figure.computed, figure.printed), row.verdict]


def _measured(name: str) -> list[list[str]]:
    """The claims of a study with the differences in points and their 95 % intervals, where it was run."""
    outcome = next((row for row in (result("studies") or {"rows": []})["rows"] if row["study"] == name), None)
    claims = [vars(claim) for claim in STUDIES[name].claims] if outcome is None else outcome["claims"]
    return [
        [
            claim["says"],
            claim["source"],
            claim["printed"] or "no figure",
            "" if outcome is None else f"{points(claim['mean'])} ({points(claim['low'])} to {points(claim['high'])})",
            f"[{'open' if outcome is None else claim['verdict']}](studies.md#{name})",
        ]
        for claim in claims
    ]
