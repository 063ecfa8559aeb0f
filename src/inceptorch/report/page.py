"""report.html: one self-contained page on a run or an evaluation. No script, nothing fetched from anywhere."""

from __future__ import annotations

import csv
import resource
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.evaluation import Evaluation, Mistake
from inceptorch.explain import default_row, gradcam, overlay
from inceptorch.metrics import ClassScore
from inceptorch.plots import shortened
from inceptorch.report import charts
from inceptorch.report.style import STYLE
from inceptorch.webpage import address, document

POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
)
SHOWN = 24  # mistakes
SIDE = 160  # pixels of their pictures
LISTED = 60  # classes, up to which all are listed; of more, the best and the worst
ENDS = 15
CELLS = 25  # classes, up to which the confusion matrix is a table with numbers
LETTERS = 28  # of a class name
CONFUSIONS = 15  # pairs of classes that are named


def page(
    title: str,
    evaluation: Evaluation,
    classifier: Classifier | None,
    command: str,
    facts: dict[str, str],
    rows: Sequence[dict[str, str]] = (),
) -> str:
    """The page as HTML. `classifier` shows where it looked at its mistakes, where there is one; `command` makes the same
    again; `facts` are lines of a table; `rows` are those of metrics.csv."""
    sections = [
        _header(title, evaluation, command),
        _curves(rows),
        _classes(evaluation),
        _confusion(evaluation),
        _mistakes(evaluation, classifier),
        _calibration(evaluation),
        _facts(facts | {"memory": f"{_peak():.0f} MiB at most in this process"}, evaluation),
    ]
    return document(title, STYLE, "\n".join(filter(None, sections)), POLICY)


def read_rows(metrics: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with open(metrics, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _header(title: str, evaluation: Evaluation, command: str) -> str:
    scores = evaluation.intervals
    figures = [
        ("top-1", evaluation.top1, scores["top1"]),
        ("top-5", evaluation.top5, scores["top5"]),
    ]
    cards = [
        f'<div class="card"><b>{value:.2%}</b><span>{name}</span><small>{low:.1%} to {high:.1%}</small></div>'
        for name, value, (low, high) in figures
        if name != "top-5" or len(evaluation.classes) > 5
    ]
    loss = "{:.3f} to {:.3f}".format(*scores["loss"]) if scores["loss"] else ""
    cards.append(f'<div class="card"><b>{evaluation.loss:.3f}</b><span>loss</span><small>{loss}</small></div>')
    cards.append(f'<div class="card"><b>{evaluation.n:,}</b><span>pictures</span><small>95 % intervals</small></div>')
    return (
        f"<header><h1>{escape(title)}</h1><p>{escape(evaluation.protocol)}</p></header>"
        f'<div class="cards">{"".join(cards)}</div><pre>{escape(command)}</pre>'
    )


def _curves(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return ""
    phase = rows[-1]["phase"]  # a run that fits the classifier first and then trains the whole network shows the second
    mine = [row for row in rows if row["phase"] == phase]

    def curve(name: str, by: float = 1.0) -> list[tuple[float, float]]:
        return [(float(row["epoch"]), by * float(row[name])) for row in mine]

    below = "step of the fit" if phase == "head" else "epoch"
    training, validation, top1 = curve("train_loss"), curve("loss"), curve("top1", 100)
    # One bad epoch, as while batch normalization's statistics lag, would make all the rest a flat line.
    highest = max(loss for _, loss in training + validation)
    usual = 2 * max(training[0][1], training[-1][1], validation[-1][1])
    cut = f" (at its highest {highest:.1f})" if highest > usual else ""
    loss = charts.lines({"training objective": training, "validation": validation}, below, most=usual)
    accuracy = charts.lines({"validation": top1}, below, " %")
    return (
        f'<section><h2>Training</h2><div class="pair"><figure><figcaption>loss{cut}</figcaption>{loss}</figure>'
        f"<figure><figcaption>validation accuracy: {top1[-1][1]:.2f} %</figcaption>{accuracy}</figure></div></section>"
    )


def _classes(evaluation: Evaluation) -> str:
    ranked = worst_first(evaluation)
    if len(ranked) <= LISTED:
        return f"<section><h2>Classes</h2>{_class_table(ranked[::-1])}</section>"
    worst, best = ranked[:ENDS], ranked[: -ENDS - 1 : -1]
    return (
        f"<section><h2>Classes</h2><h3>The {ENDS} worst of {len(ranked)}</h3>{_class_table(worst)}"
        f"<h3>The {ENDS} best</h3>{_class_table(best)}</section>"
    )


def worst_first(evaluation: Evaluation) -> list[tuple[str, ClassScore]]:
    """The classes with their scores, those that are found least first."""
    return sorted(evaluation.per_class.items(), key=lambda item: (item[1]["top1"], item[0]))


def _class_table(classes: Sequence[tuple[str, ClassScore]]) -> str:
    rows = []
    for name, one in classes:
        low, high = one["top1_interval"]
        precision = "never said" if one["precision"] is None else f"{one['precision']:.1%}"
        bar = (
            f'<span class="range"><i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
            f'<b style="left:{100 * one["top1"]:.1f}%"></b></span>'
        )
        rows.append(
            f"<tr><th>{_name(name)}</th><td>{one['n']}</td><td>{one['top1']:.1%}</td><td>{bar}</td><td>{precision}</td></tr>"
        )
    head = "<tr><th>class</th><th>pictures</th><th>found</th><th>95 % interval</th><th>right when said</th></tr>"
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _confusion(evaluation: Evaluation) -> str:
    counts, names = evaluation.confusion, evaluation.classes
    off = counts.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [np.unravel_index(place, off.shape) for place in order]
    named = [
        f"<tr><th>{_name(names[label])}</th><td>{_name(names[given])}</td><td>{off[label, given]}</td></tr>"
        for label, given in pairs
        if off[label, given]
    ]
    whole = _matrix(counts, names) if len(names) <= CELLS else _picture_of(counts)
    listed = (
        '<h3>Most often mistaken</h3><div class="wide"><table><tr><th>is</th><th>was called</th><th>times</th></tr>'
        f"{''.join(named)}</table></div>"
        if named
        else "<p>No class was taken for another.</p>"
    )
    return f"<section><h2>Confusion</h2>{whole}{listed}</section>"


def _matrix(counts: Any, names: Sequence[str]) -> str:
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    head = "".join(f'<th class="up"><span>{_name(name)}</span></th>' for name in names)
    lines = []
    for row, name in enumerate(names):
        cells = "".join(
            f'<td class="{"hit" if row == column else "miss"}" style="--s:{shares[row, column]:.3f}">{counts[row, column] or ""}</td>'
            for column in range(len(names))
        )
        lines.append(f"<tr><th>{_name(name)}</th>{cells}</tr>")
    return f'<div class="wide"><table class="matrix"><tr><th></th>{head}</tr>{"".join(lines)}</table></div><p>Rows are what pictures are, columns what they were called.</p>'


def _picture_of(counts: Any) -> str:
    """The matrix of many classes as a picture, a point for each pair of classes."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    points = (255 * (1 - np.sqrt(shares))).astype(np.uint8)
    side = max(1, round(500 / len(points)))
    image = Image.fromarray(np.kron(points, np.ones((side, side), np.uint8)))
    return (
        f'<img class="map" alt="confusion matrix" src="{address(image, "PNG")}">'
        "<p>Rows are what pictures are, columns what they were called, in the order of the class list; dark is often.</p>"
    )


def _mistakes(evaluation: Evaluation, classifier: Classifier | None) -> str:
    wrong, split = len(evaluation.mistakes), evaluation.split
    if not wrong:
        return "<section><h2>Mistakes</h2><p>There are none.</p></section>"
    shown = evaluation.mistakes[:SHOWN]
    heading = f"<h2>Mistakes</h2><p>{wrong} of {evaluation.n:,}; the {len(shown)} most confident ones."
    if classifier is not None and split is not None:
        heading += (
            f" Beside each picture, where the network looked for what it said (Grad-CAM, row {_row(classifier)})."
        )
    cards = []
    for mistake in sorted(shown, key=lambda each: each.index):  # as they lie in shards
        images = _seen(evaluation, mistake, classifier)
        cards.append(
            (
                -mistake.probability,
                f'<figure class="mistake"><div>{images}</div><figcaption>said <b>{_name(mistake.predicted)}</b> '
                f"({mistake.probability:.0%})<br>is <b>{_name(mistake.label)}</b><small>{escape(mistake.file)}</small></figcaption></figure>",
            )
        )
    return f'<section>{heading}</p><div class="mistakes">{"".join(card for _, card in sorted(cards))}</div></section>'


def _seen(evaluation: Evaluation, mistake: Mistake, classifier: Classifier | None) -> str:
    """The picture of a mistake, and where the network looked, as far as they are at hand."""
    if evaluation.split is None:
        return ""
    try:
        if classifier is None:
            image = evaluation.split.image(mistake.index)
            image.thumbnail((SIDE, SIDE))
            return _shown(image, "the picture")
        square = evaluation.split.square(mistake.index, classifier.pixels)
    except InceptorchError:
        return "<p>cannot be read any more</p>"
    given = classifier.classes.index(mistake.predicted)
    looked = overlay(square, gradcam(classifier, [square], [given])[0])
    return _shown(Image.fromarray(square), "what the network saw") + _shown(looked, "where it looked")


def _row(classifier: Classifier) -> str:
    return escape(default_row(classifier.model.net, classifier.pixels.size))


def _calibration(evaluation: Evaluation) -> str:
    text = "".join(f"<p>{sentence}</p>" for sentence in of_confidence(evaluation))
    return f"<section><h2>Calibration</h2><figure>{charts.calibration(evaluation.reliability)}</figure>{text}</section>"


def of_confidence(evaluation: Evaluation) -> list[str]:
    """What confidence is worth: whether it means what it says, and what it costs to refuse where it is small."""
    (error, (low, high)), unknown, tempered = evaluation.calibration, evaluation.threshold, evaluation.tempered
    sentences = [
        f"Confidence is off by {error:.1%} (expected calibration error); without what chance adds to that, by {low:.1%} to "
        f"{high:.1%}."
    ]
    if tempered:
        sentences.append(
            f"With logits divided by {tempered['temperature']:.3f}: off by {tempered['error']:.1%}, loss {tempered['loss']:.3f}."
        )
    sentences.append(
        f"Whoever calls pictures unknown below {unknown['below']:.3f} answers {unknown['answered']:.1%} of these, "
        f"{unknown['right_of_answered']:.1%} of them rightly; without that {unknown['right_without']:.1%} are right."
    )
    return sentences


def _facts(facts: dict[str, str], evaluation: Evaluation) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    left_out = [f"<li>{escape(one['file'])} {escape(one['error'])}</li>" for one in evaluation.skipped[:100]]
    many = f"{len(evaluation.skipped)} picture{'s' if len(evaluation.skipped) > 1 else ''}"
    skipped = f"<h3>{many} left out</h3><ul>{''.join(left_out)}</ul>" if left_out else ""
    return f'<section><h2>How it was got</h2><div class="wide"><table class="facts">{rows}</table></div>{skipped}</section>'


def _shown(image: Image.Image, what: str) -> str:
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return f'<img alt="{what}" src="{address(small)}">'


def _name(name: str) -> str:
    """A class name, cut where it is long: ImageNet's are lists of synonyms."""
    return (
        f'<span title="{escape(name)}">{escape(shortened(name, LETTERS))}</span>'
        if len(name) > LETTERS
        else escape(name)
    )


def _peak() -> float:
    """MiB that this process has taken at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
