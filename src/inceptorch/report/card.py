"""The model card of a run: the content of report.html in Markdown, after the card of the bundle."""

from __future__ import annotations

from inceptorch.classifier.classifier import Classifier
from inceptorch.evaluation import Evaluation
from inceptorch.report.page import confidence_sentences, worst_first
from inceptorch.utils.html import render

MAX_CLASSES = 50  # in one table; with more, the best and the worst are listed
ENDS = 10  # best, and worst


def card(classifier: Classifier, evaluation: Evaluation, command: str, facts: dict[str, str]) -> str:
    """The card as Markdown. `command` reproduces the run; `facts` are the lines of a table."""
    worst = worst_first(evaluation)
    ranked = [("", worst[::-1])]
    if len(worst) > MAX_CLASSES:
        ranked = [(f"The {ENDS} worst of {len(worst)}", worst[:ENDS]), (f"The {ENDS} best", worst[: -ENDS - 1 : -1])]
    return render(
        "report/templates/card.md",
        bundle=classifier.card().rstrip(),
        evaluation=evaluation,
        ranked=ranked,
        confidence=confidence_sentences(evaluation),
        command=command,
        facts=facts,
    )
