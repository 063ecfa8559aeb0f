"""The model card of a run: the content of report.html in Markdown, after the card of the bundle."""

from __future__ import annotations

from typing import TypeVar

from inceptorch.classifier.classifier import Classifier
from inceptorch.evaluation import Evaluation
from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.report.detector_page import ranked_by_ap, threshold_sentences
from inceptorch.report.page import confidence_sentences, worst_first
from inceptorch.utils.html import render

Scores = TypeVar("Scores")
MAX_CLASSES = 50  # in one table; with more, the best and the worst are listed
ENDS = 10  # best, and worst


def card(classifier: Classifier, evaluation: Evaluation, command: str, facts: dict[str, str]) -> str:
    """The card as Markdown. `command` reproduces the run; `facts` are the lines of a table."""
    return render(
        "report/templates/card.md",
        bundle=classifier.card().rstrip(),
        evaluation=evaluation,
        ranked=_tables(worst_first(evaluation)),
        confidence=confidence_sentences(evaluation),
        command=command,
        facts=facts,
    )


def detector_card(classifier: Classifier, evaluation: BoxEvaluation, command: str, facts: dict[str, str]) -> str:
    """The card of a detector; arguments as for `card`."""
    return render(
        "report/templates/detector_card.md",
        bundle=classifier.card().rstrip(),
        scores=evaluation.scores,
        ranked=_tables(ranked_by_ap(evaluation)),
        threshold=threshold_sentences(evaluation),
        command=command,
        facts=facts,
    )


def _tables(worst_first: list[tuple[str, Scores]]) -> list[tuple[str, list[tuple[str, Scores]]]]:
    """Headings and classes of the tables: all of them, the best first, or of many the ends."""
    if len(worst_first) <= MAX_CLASSES:
        return [("", worst_first[::-1])]
    return [
        (f"The {ENDS} worst of {len(worst_first)}", worst_first[:ENDS]),
        (f"The {ENDS} best", worst_first[: -ENDS - 1 : -1]),
    ]
