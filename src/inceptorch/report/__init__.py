"""`report.html`, one page on a run or an evaluation, and the model card of a run."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inceptorch.classifier import Classifier
from inceptorch.classifier.config import CARD
from inceptorch.classifier.hub import load
from inceptorch.data.split import DRAWN_VAL
from inceptorch.errors import RunError
from inceptorch.evaluation import Evaluation
from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.report.card import card, detector_card
from inceptorch.report.detector_page import detector_page
from inceptorch.report.drawings import draw_lr_curve
from inceptorch.report.page import page, read_metrics
from inceptorch.training import Result, read_run_config
from inceptorch.utils.files import write_text

__all__ = ["draw_lr_curve", "evaluation_page", "page", "write_report"]


def write_report(result: Result) -> None:
    """Write report.html and the model card into the folder of a run that was evaluated."""
    if result.evaluation is None:
        raise RunError(f"Cannot report on {result.run}: it was not evaluated. Try inceptorch eval with --report.")
    config, custom = read_run_config(result.run), result.classifier.config.is_custom
    classifier = load(result.run, result.classifier.model if custom else None)
    command = config["command"] or f"inceptorch.train({config['data']!r}, ...), see run.yaml"
    facts = _run_facts(result, config)
    title = f"{config['network']['name']} on {Path(config['data']).name}"
    metrics = read_metrics(result.run / "metrics.csv")
    if isinstance(result.evaluation, BoxEvaluation):
        evaluation = result.evaluation.at(classifier.config.metadata.score_threshold)
        html = detector_page(title, evaluation, command, facts, metrics, kept_sentence(result))
        markdown = detector_card(classifier, evaluation, command, facts)
    else:
        html = page(title, result.evaluation, None if custom else classifier, command, facts, metrics)
        markdown = card(classifier, result.evaluation, command, facts)
    write_text(result.run / "report.html", html)
    write_text(result.run / CARD, markdown)


def evaluation_page(
    title: str, evaluation: Evaluation | BoxEvaluation, classifier: Classifier | None, seconds: float, command: str
) -> str:
    """The page of an evaluation. `classifier` is None for an ensemble, saved predictions or a detector."""
    facts = {
        "time": f"{seconds:.1f} s, {1000 * seconds / evaluation.n:.0f} ms an image",
        "versions": ", ".join(f"{name} {version(name)}" for name in ("inceptorch", "torch", "numpy", "pillow")),
        "machine": f"{platform.processor() or platform.machine()}, {platform.platform()}",
    }
    if isinstance(evaluation, BoxEvaluation):
        return detector_page(title, evaluation, command, facts)
    return page(title, evaluation, classifier, command, facts)


def kept_sentence(result: Result) -> str:
    """Which epoch of a detector was kept, and what that means for its mAP."""
    if result.kept_epoch is None:
        return "The weights are those of the last epoch."
    return (
        f"The weights are of epoch {result.kept_epoch} of {result.epochs}, whose mAP on the validation images is the "
        "highest. The choice flatters this mAP a little: other images may give less."
    )


def _folds(result: Result) -> dict[str, str]:
    if (found := result.cross_validation) is None:
        return {}
    low, high = found.top1_interval
    kept = f", {found.groups} groups kept together" if found.groups else ""
    return {f"{found.folds} folds": f"top-1 {found.top1:.2%} ({low:.1%} to {high:.1%}) of {found.n} images{kept}"}


def _run_facts(result: Result, config: dict[str, Any]) -> dict[str, str]:
    recipe, train, val = config["recipe"], config["train"], config["val"]
    validated = result.evaluation.n if result.evaluation else 0
    split = f"{train['split']} for training and {val['split']} for validation, as in DATA"
    boxes = isinstance(result.evaluation, BoxEvaluation)
    if val["split"] == DRAWN_VAL:
        whole = "all images" if boxes else "every class"
        split = f"{recipe['data']['val_fraction']:.0%} of {whole} for validation, drawn with seed {config['seed']}"
    weights = {}
    if result.kept_epoch is not None:
        kept = f"epoch {result.kept_epoch} of {result.epochs}" if result.kept_epoch else "the linear probe"
        weights["weights"] = f"{kept}, chosen by the {'mAP' if boxes else 'loss'} on the validation images"
    return {
        "network": config["network"]["name"],
        "recipe": f"{recipe['name']}, seed {config['seed']}; every value is in run.yaml",
        "images": f"{train['images']} for training, {validated} of {val['split']} for validation",
        "split": split,
        **weights,
        **_folds(result),
        "time": f"{result.seconds:.0f} s for {result.epochs} epochs{'' if boxes else ' or steps of the linear probe'}",
        "machine": f"{config['machine']['processor']}, {config['machine']['system']}",
        "versions": ", ".join(f"{name} {number}" for name, number in config["versions"].items()),
        "started": str(config["started"]),
    }
