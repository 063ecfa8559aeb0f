"""`report.html`, one page on a run or an evaluation, and the model card of a run."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inceptorch.classifier import Classifier
from inceptorch.classifier.config import CARD
from inceptorch.classifier.hub import load
from inceptorch.data.split import DRAWN_VAL
from inceptorch.evaluation import Evaluation
from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.report.card import card
from inceptorch.report.drawings import draw_lr_curve
from inceptorch.report.page import page, read_metrics
from inceptorch.training import Result, read_run_config
from inceptorch.utils.files import write_text

__all__ = ["draw_lr_curve", "evaluation_page", "page", "write_report"]


def write_report(result: Result) -> None:
    """Write report.html and the model card into the folder of a run."""
    if isinstance(result.evaluation, BoxEvaluation):
        return
    config, custom = read_run_config(result.run), result.classifier.config.is_custom
    classifier = load(result.run, result.classifier.model if custom else None)
    command = config["command"] or f"inceptorch.train({config['data']!r}, ...), see run.yaml"
    facts = _run_facts(result, config)
    title = f"{config['network']['name']} on {Path(config['data']).name}"
    metrics, explained = read_metrics(result.run / "metrics.csv"), None if custom else classifier
    write_text(result.run / "report.html", page(title, result.evaluation, explained, command, facts, metrics))
    write_text(result.run / CARD, card(classifier, result.evaluation, command, facts))


def evaluation_page(
    title: str, evaluation: Evaluation, classifier: Classifier | None, seconds: float, command: str
) -> str:
    """The page of an evaluation. `classifier` is None for an ensemble or saved predictions."""
    facts = {
        "time": f"{seconds:.1f} s, {1000 * seconds / evaluation.n:.0f} ms an image",
        "versions": ", ".join(f"{name} {version(name)}" for name in ("inceptorch", "torch", "numpy", "pillow")),
        "machine": f"{platform.processor() or platform.machine()}, {platform.platform()}",
    }
    return page(title, evaluation, classifier, command, facts)


def _run_facts(result: Result, config: dict[str, Any]) -> dict[str, str]:
    recipe, train, val = config["recipe"], config["train"], config["val"]
    split = f"{train['split']} for training and {val['split']} for validation, as in DATA"
    if val["split"] == DRAWN_VAL:
        split = f"{recipe['data']['val_fraction']:.0%} of every class for validation, drawn with seed {config['seed']}"
    weights = {}
    if result.kept_epoch is not None:
        kept = f"epoch {result.kept_epoch} of {result.epochs}" if result.kept_epoch else "the linear probe"
        weights["weights"] = f"{kept}, chosen by the loss on the validation images"
    return {
        "network": config["network"]["name"],
        "recipe": f"{recipe['name']}, seed {config['seed']}; every value is in run.yaml",
        "images": f"{train['images']} for training, {result.evaluation.n} of {val['split']} for validation",
        "split": split,
        **weights,
        "time": f"{result.seconds:.0f} s for {result.epochs} epochs or steps of the linear probe",
        "machine": f"{config['machine']['processor']}, {config['machine']['system']}",
        "versions": ", ".join(f"{name} {number}" for name, number in config["versions"].items()),
        "started": str(config["started"]),
    }
