"""report.html of a detector: mean average precision, classes, curves, the threshold, and images with mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.evaluation.detection import RECALLS, ClassScore, at_thresholds, precision_recall
from inceptorch.report import charts
from inceptorch.report.box_mistakes import KINDS, RIGHT, mistake_report
from inceptorch.report.page import loss_curve, peak_memory, shared_folder
from inceptorch.utils.html import render

MAX_CURVES = 30  # classes with a curve of their own; of more, the worst and the best
THRESHOLDS = np.linspace(0.02, 0.98, 49)  # scores at which precision and recall are drawn


def detector_page(
    title: str,
    evaluation: BoxEvaluation,
    command: str,
    facts: dict[str, str],
    metrics: Sequence[dict[str, str]] = (),
    kept: str = "",
) -> str:
    """The page as HTML. `command` reproduces the evaluation; `facts` are the lines of a table; `metrics` are the rows
    of metrics.csv; `kept` is a sentence on the choice of the weights."""
    scores, split, threshold = evaluation.scores, evaluation.split, shown_threshold(evaluation)
    files = [split.file(index) for index in (0, len(split) - 1)] if len(split) else [""]
    return render(
        "report/templates/detector.html",
        title=title,
        protocol=scores.protocol,
        evaluation=evaluation,
        scores=scores,
        command=command,
        curves=_training_curves(metrics) if metrics else [],
        kept=kept,
        ranked=ranked_by_ap(evaluation),
        precision_recall=_precision_recall(evaluation),
        classes_with_curves=sum(one["ap50"] is not None for one in scores.per_class.values()),
        threshold=_threshold_chart(evaluation, threshold),
        sentences=threshold_sentences(evaluation),
        mistakes=mistake_report(evaluation, threshold),
        kinds=(*KINDS, RIGHT),
        folder=shared_folder(files),
        facts=facts | peak_memory(),
    )


def shown_threshold(evaluation: BoxEvaluation) -> float:
    """The score at which precision, recall and mistakes are shown."""
    threshold = evaluation.scores.threshold
    return evaluation.threshold if threshold is None else threshold


def ranked_by_ap(evaluation: BoxEvaluation) -> list[tuple[str, ClassScore]]:
    """The classes with their scores, the lowest AP first; classes without objects last."""

    def rank(item: tuple[str, ClassScore]) -> tuple[float, str]:
        ap = item[1]["ap50"]
        return 2.0 if ap is None else ap, item[0]

    return sorted(evaluation.scores.per_class.items(), key=rank)


def threshold_sentences(evaluation: BoxEvaluation) -> list[str]:
    """What the threshold is, and what it does on these images."""
    scores, threshold = evaluation.scores, shown_threshold(evaluation)
    sentences = [
        f"Boxes with a score below {threshold:.2f} are left out. Average precision takes them all, whatever the score."
    ]
    if scores.precision is not None and scores.recall is not None:
        sentences.append(
            f"At this threshold {scores.precision:.1%} of the boxes are right (precision), and {scores.recall:.1%} of "
            "the objects are found (recall), at an IoU of 0.5."
        )
    best = evaluation.threshold
    if abs(best - threshold) < 0.005:
        sentences.append(
            "F1, which weighs both alike, is highest here on these very images: on others, expect a little less."
        )
    else:
        sentences.append(f"On these images, F1, which weighs both alike, is highest at {best:.2f}.")
    sentences.append(
        "A lower threshold finds more objects, and more boxes are false: predict and serve take one with "
        "--min-confidence."
    )
    return sentences


def _training_curves(rows: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    """Captions and charts."""
    training, found = ([(float(row["epoch"]), float(row[name])) for row in rows] for name in ("train_loss", "map50"))
    best = max(found, key=lambda point: point[1])
    caption = f"mAP at IoU 0.5: highest {best[1]:.2%}, in epoch {best[0]:.0f}"
    percents = [(epoch, 100 * value) for epoch, value in found]
    return [
        loss_curve({"training objective": training}, "epoch"),
        (caption, charts.lines({"validation": percents}, "epoch", " %")),
    ]


def _precision_recall(evaluation: BoxEvaluation) -> list[tuple[str, float, str]]:
    """The name, AP and chart of each class with objects, the best first; of many classes, of the ends."""
    split, scores = evaluation.split, evaluation.scores
    found = precision_recall(split.boxes, evaluation.found, split.classes, scores.rule)
    ranked = [(name, one["ap50"], one) for name, one in ranked_by_ap(evaluation)[::-1] if one["ap50"] is not None]
    if len(ranked) > MAX_CURVES:
        ranked = ranked[: MAX_CURVES // 2] + ranked[-MAX_CURVES // 2 :]
    drawn = []
    for name, ap, one in ranked:
        curve: Any = found[name]
        at = None if one["recall"] is None or one["precision"] is None else (one["recall"], one["precision"])
        drawn.append((name, ap, charts.precision_recall(list(zip(RECALLS.tolist(), curve.tolist(), strict=True)), at)))
    return drawn


def _threshold_chart(evaluation: BoxEvaluation, threshold: float) -> str:
    """Precision and recall over the score."""
    split = evaluation.split
    points = at_thresholds(split.boxes, evaluation.found, split.classes, THRESHOLDS.tolist())
    curves = {
        name: [(point["threshold"], value) for point, value in zip(points, values, strict=True) if value is not None]
        for name, values in (
            ("precision", [point["precision"] for point in points]),
            ("recall", [point["recall"] for point in points]),
        )
    }
    return charts.over_threshold({name: curve for name, curve in curves.items() if curve}, threshold)
