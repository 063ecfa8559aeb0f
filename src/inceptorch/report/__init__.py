"""`report.html`, one page on a run or an evaluation, and the model card that goes with it."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inceptorch.classifier import classifier as bundle
from inceptorch.classifier.classifier import Classifier
from inceptorch.data.split import HELD_OUT_PART
from inceptorch.evaluation import Evaluation
from inceptorch.report.card import card
from inceptorch.report.drawings import draw_rates
from inceptorch.report.page import page, read_rows
from inceptorch.training import Result, read_asked
from inceptorch.utils.files import write_text

__all__ = ["draw", "draw_rates", "of_evaluation", "page"]


def draw(result: Result) -> None:
    """Write report.html and the whole model card, README.md, into the run folder."""
    asked, classifier = read_asked(result.run), bundle.load(result.run)
    again = asked["command"] or f"inceptorch.train({asked['data']!r}, ...), see run.yaml"
    facts = _facts_of_run(result, asked)
    title = f"{asked['network']['name']} on {Path(asked['data']).name}"
    rows = read_rows(result.run / "metrics.csv")
    write_text(result.run / "report.html", page(title, result.evaluation, classifier, again, facts, rows))
    write_text(result.run / bundle.CARD, card(classifier, result.evaluation, again, facts))


def of_evaluation(
    title: str, evaluation: Evaluation, classifier: Classifier | None, seconds: float, command: str
) -> str:
    """The page of an evaluation. `classifier` is None where several were averaged or predictions were judged."""
    facts = {"time": f"{seconds:.1f} s, {1000 * seconds / evaluation.n:.0f} ms a picture"}
    facts |= {"versions": ", ".join(f"{name} {version(name)}" for name in ("inceptorch", "torch", "numpy", "pillow"))}
    facts |= {"machine": f"{platform.processor() or platform.machine()}, {platform.platform()}"}
    return page(title, evaluation, classifier, command, facts)


def _facts_of_run(result: Result, asked: dict[str, Any]) -> dict[str, str]:
    recipe, train, held_out = asked["recipe"], asked["train"], asked["held_out"]
    divided = f"{train['split']} to train on and {held_out['split']} to judge with, as DATA has them"
    if held_out["split"] == HELD_OUT_PART:
        divided = f"{recipe['held_out_share']:.0%} of every class held out, drawn by seed {asked['seed']}"
    return {
        "network": asked["network"]["name"],
        "recipe": f"{recipe['name']}, seed {asked['seed']}; every value is in run.yaml",
        "pictures": f"{train['pictures']} to train on, {result.evaluation.n} of {held_out['split']} to judge with",
        "split": divided,
        "time": f"{result.seconds:.0f} s for {result.epochs} epochs or steps of the fit",
        "machine": f"{asked['machine']['processor']}, {asked['machine']['system']}",
        "versions": ", ".join(f"{name} {number}" for name, number in asked["versions"].items()),
        "begun": str(asked["started"]),
    }
