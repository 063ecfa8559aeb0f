"""The model card of a run: what report.html says, in Markdown, behind what every bundle's card says."""

from __future__ import annotations

from collections.abc import Sequence

from inceptorch.classifier.classifier import Classifier, in_markdown
from inceptorch.evaluation import Evaluation
from inceptorch.metrics import ClassScore, Interval
from inceptorch.papers.grids import markdown
from inceptorch.report.page import of_confidence, worst_first

LISTED = 50  # classes, up to which all are listed; of more, the best and the worst
ENDS = 10


def card(classifier: Classifier, evaluation: Evaluation, command: str, facts: dict[str, str]) -> str:
    """The card as Markdown. `command` makes the same again; `facts` are lines of a table."""
    made = [["", ""], *([name, in_markdown(value)] for name, value in facts.items())]
    again = "\n".join(f"    {line}" for line in command.splitlines())
    parts = [
        classifier.card().rstrip(),
        "## Scores",
        f"{evaluation.n} pictures, which training did not see. Protocol: {in_markdown(evaluation.protocol)}.",
        markdown(_scores(evaluation)),
        "## Classes",
        *_classes(worst_first(evaluation)),
        "## Confidence",
        *of_confidence(evaluation),
        "## How it was got",
        markdown(made),
        "Made again by:",
        again,
    ]
    return "\n\n".join(parts) + "\n"


def _scores(evaluation: Evaluation) -> list[list[str]]:
    bounds = evaluation.intervals
    lines = [["score", "value", "95 % interval"], ["top-1", f"{evaluation.top1:.2%}", _between(bounds["top1"])]]
    if len(evaluation.classes) > 5:
        lines.append(["top-5", f"{evaluation.top5:.2%}", _between(bounds["top5"])])
    loss = "{:.3f} to {:.3f}".format(*bounds["loss"]) if bounds["loss"] else ""
    return [*lines, ["loss", f"{evaluation.loss:.3f}", loss]]


def _classes(ranked: Sequence[tuple[str, ClassScore]]) -> list[str]:
    if len(ranked) <= LISTED:
        return [_class_table(ranked[::-1])]
    worst, best = ranked[:ENDS], ranked[: -ENDS - 1 : -1]
    return [f"The {ENDS} worst of {len(ranked)}:", _class_table(worst), f"The {ENDS} best:", _class_table(best)]


def _class_table(classes: Sequence[tuple[str, ClassScore]]) -> str:
    lines = [["class", "pictures", "recall", "95 % interval", "precision", "95 % interval"]]
    for name, one in classes:
        precision = "never said" if one["precision"] is None else f"{one['precision']:.1%}"
        interval = _between(one["precision_interval"]) if one["precision_interval"] else ""
        recall = f"{one['top1']:.1%}", _between(one["top1_interval"])
        lines.append([in_markdown(name), str(one["n"]), *recall, precision, interval])
    return markdown(lines)


def _between(interval: Interval) -> str:
    low, high = interval
    return f"{low:.1%} to {high:.1%}"
