"""The model card of a run: what report.html says, in Markdown, behind what every bundle's card says."""

from __future__ import annotations

from inceptorch.classifier.classifier import Classifier
from inceptorch.evaluation import Evaluation
from inceptorch.report.page import of_confidence, worst_first
from inceptorch.utils.html import render

LISTED = 50  # classes, up to which all are listed; of more, the best and the worst
ENDS = 10


def card(classifier: Classifier, evaluation: Evaluation, command: str, facts: dict[str, str]) -> str:
    """The card as Markdown. `command` makes the same again; `facts` are lines of a table."""
    worst = worst_first(evaluation)
    ranked = [("", worst[::-1])]
    if len(worst) > LISTED:
        ranked = [(f"The {ENDS} worst of {len(worst)}", worst[:ENDS]), (f"The {ENDS} best", worst[: -ENDS - 1 : -1])]
    return render(
        "report/templates/card.md",
        bundle=classifier.card().rstrip(),
        evaluation=evaluation,
        ranked=ranked,
        confidence=of_confidence(evaluation),
        command=command,
        facts=facts,
    )
