"""`report.html`, one page on a run or an evaluation, and the model card that goes with it."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inceptorch.classifier import Classifier
from inceptorch.classifier.config import CARD
from inceptorch.classifier.hub import load
from inceptorch.data.split import VAL_PART
from inceptorch.evaluation import Evaluation
from inceptorch.report.card import card
from inceptorch.report.drawings import draw_rates
from inceptorch.report.page import page, read_rows
from inceptorch.training import Result, read_run_config
from inceptorch.utils.files import write_text

__all__ = ["draw", "draw_rates", "of_evaluation", "page"]


def draw(result: Result) -> None:
    config, custom = read_run_config(result.run), result.classifier.config.is_custom
    classifier = load(result.run, result.classifier.model if custom else None)
    again = config["command"] or f"inceptorch.train({config['data']!r}, ...), see run.yaml"
    facts = _facts_of_run(result, config)
    title = f"{config['network']['name']} on {Path(config['data']).name}"
    rows, looked_into = read_rows(result.run / "metrics.csv"), None if custom else classifier
    write_text(result.run / "report.html", page(title, result.evaluation, looked_into, again, facts, rows))
    write_text(result.run / CARD, card(classifier, result.evaluation, again, facts))


def of_evaluation(
    title: str, evaluation: Evaluation, classifier: Classifier | None, seconds: float, command: str
) -> str:
    """The page of an evaluation. `classifier` is None where several were averaged or predictions were evaluated."""
    facts = {"time": f"{seconds:.1f} s, {1000 * seconds / evaluation.n:.0f} ms an image"}
    facts |= {"versions": ", ".join(f"{name} {version(name)}" for name in ("inceptorch", "torch", "numpy", "pillow"))}
    facts |= {"machine": f"{platform.processor() or platform.machine()}, {platform.platform()}"}
    return page(title, evaluation, classifier, command, facts)


def _facts_of_run(result: Result, config: dict[str, Any]) -> dict[str, str]:
    recipe, train, val = config["recipe"], config["train"], config["val"]
    divided = f"{train['split']} to train on and {val['split']} to evaluate with, as DATA has them"
    if val["split"] == VAL_PART:
        divided = f"{recipe['data']['val_fraction']:.0%} of every class held out, drawn by seed {config['seed']}"
    kept = {}
    if result.kept_epoch is not None:
        kept["weights"] = f"epoch {result.kept_epoch} of {result.epochs}, chosen by the loss on the validation images"
    return {
        "network": config["network"]["name"],
        "recipe": f"{recipe['name']}, seed {config['seed']}; every value is in run.yaml",
        "images": f"{train['images']} to train on, {result.evaluation.n} of {val['split']} to evaluate with",
        "split": divided,
        **kept,
        "time": f"{result.seconds:.0f} s for {result.epochs} epochs or steps of the fit",
        "machine": f"{config['machine']['processor']}, {config['machine']['system']}",
        "versions": ", ".join(f"{name} {number}" for name, number in config["versions"].items()),
        "begun": str(config["started"]),
    }
