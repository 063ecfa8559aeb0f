"""Evaluating classifiers on labelled images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from inceptorch.classifier import Classifier
from inceptorch.classifier.config import Threshold
from inceptorch.data import Skipped, Split
from inceptorch.errors import NonFiniteOutputError, ProtocolError
from inceptorch.evaluation.calibration import (
    Reliability,
    calibration_error,
    calibration_interval,
    reliability,
    temperature_of,
    threshold,
)
from inceptorch.evaluation.inputs import EvalInputs, Given, evaluation_split, resolve_inputs
from inceptorch.evaluation.predictions import Predictions, combined, predict_split
from inceptorch.images.crops import CENTER, CropProtocol, get_protocol
from inceptorch.inference.engines import Engine
from inceptorch.inference.predictor import Predictor
from inceptorch.tasks import Classification, Task
from inceptorch.tasks.metrics import Interval, PredictionSummary, Scores
from inceptorch.utils.arrays import Floats, Ints
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import Processes


@dataclass(frozen=True)
class Mistake:
    """An image whose first answer was wrong. `label` and `predicted` are class names."""

    index: int
    file: str
    label: str
    predicted: str
    probability: float


class TemperatureScaling(TypedDict):
    """What dividing logits by a temperature, found on so many other images, does: the calibration error with its
    interval, and the loss."""

    temperature: float
    images: int
    error: float
    interval: Interval
    loss: float


@dataclass(frozen=True)
class Evaluation(Scores):
    """Scores, how they were got, what was left out, and the answers behind them. `split` is None where predictions were
    evaluated whose images are not at hand."""

    classes: Sequence[str]
    protocol: str
    skipped: list[Skipped]
    summary: PredictionSummary
    files: Sequence[str]
    split: Split | None = None
    temperature_scaling: TemperatureScaling | None = None

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The wrong first answers, the most confident first."""
        summary, classes = self.summary, self.classes
        wrong = np.flatnonzero(~summary.right)
        wrong = wrong[np.argsort(-summary.confidences[wrong], kind="stable")]
        return [
            Mistake(
                i,
                self.files[i],
                classes[summary.labels[i]],
                classes[summary.predicted[i]],
                float(summary.confidences[i]),
            )
            for i in wrong.tolist()
        ]

    @cached_property
    def confusion(self) -> Ints:
        """How many images of each class (rows) were given each answer (columns), by torchmetrics."""
        import torch
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        given, labels = (
            torch.from_numpy(np.asarray(each, np.int64)) for each in (self.summary.predicted, self.summary.labels)
        )
        found: Ints = multiclass_confusion_matrix(given, labels, len(self.classes)).numpy()
        return found

    @cached_property
    def calibration(self) -> tuple[float, Interval]:
        """The expected calibration error and its interval."""
        return calibration_error(self.summary), calibration_interval(self.summary)

    @cached_property
    def reliability(self) -> list[Reliability]:
        return reliability(self.summary)

    @cached_property
    def threshold(self) -> Threshold:
        """The confidence that 95 % of these images reach, and what refusing the others costs."""
        return threshold(self.summary)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"n", "top1", "top5", "loss", "protocol", "intervals", "calibration", "temperature_scaling", "unknown",
        "per_class", "skipped"}, fractions 0..1."""
        names = ("n", "top1", "top5", "loss", "protocol", "intervals")
        error, interval = self.calibration
        calibration = {"error": error, "interval": interval, "bins": self.reliability}
        return {
            **{name: getattr(self, name) for name in names},
            "calibration": calibration,
            "temperature_scaling": self.temperature_scaling,
            "unknown": self.threshold,
            "per_class": self.per_class,
            "skipped": self.skipped,
        }


def evaluate(
    model: Given | Sequence[Given],
    data: str | Path | None = None,
    *,
    split: str | None = None,
    protocol: CropProtocol | str = CENTER,
    weights: Sequence[float] | None = None,
    save_predictions: str | Path | None = None,
    calibrate_on: str | None = None,
    exclude: str | Path | None = None,
    engine: str = "auto",
    precision: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a classifier (or the bundle or run at that path, or published weights by name), or an ensemble of several,
    on DATA, as `data.find_split` takes it.

    split             "train", "val" or "test"; by default DATA's test folder, else its val, else its train folder, else
                      DATA itself. Of a folder that training itself divided, only the validation part is evaluated
    protocol          which crops of an image are averaged: a name, a YAML file or a `CropProtocol`
    weights           of the members of an ensemble; equal by default
    save_predictions  a folder, in which predictions are kept that are there already and can be evaluated again: each file
                      of it may stand for a model, and then DATA is not needed
    engine, precision  what executes the models, as `engines.open_engine` takes them
    calibrate_on      a part of DATA, other than the evaluated one, on which to find the temperature to evaluate with too
    exclude           a file of images to leave out, a line each

    Images that cannot be read are left out and listed. Under torchrun all processes share the work. Raises DataError
    where a class of DATA is none of the classifier's, ProtocolError where members do not belong together.
    """
    from inceptorch.runtime.distributed import processes

    progress = progress or Progress()
    models = [model] if isinstance(model, Classifier | Engine | str | Path) else list(model)
    chosen = get_protocol(protocol)
    shares = _checked_weights(weights, len(models))
    folder = None if save_predictions is None else Path(save_predictions)
    with processes() as world:
        speaking = progress if world.first else Progress(quiet=True)
        evaluated = resolve_inputs(models, data, split, exclude, world, speaking, engine, precision)
        if data is None and chosen != CENTER:
            raise ProtocolError("Saved predictions have their protocol already; for another, name the models and DATA.")
        beside = None
        if calibrate_on is not None:
            beside = _beside(evaluated, data, calibrate_on, world, speaking)
        members = [each for (each,) in predict_all(evaluated, [chosen], folder, world, speaking)]
        evaluation = world.from_first(lambda: evaluate_predictions(members, shares, evaluated.skipped, evaluated.split))
        if beside is None:
            return evaluation
        others = [each for (each,) in predict_all(beside, [chosen], folder, world, speaking)]
        scaling = world.from_first(lambda: _temperature_scaling(members, others, shares))
        if scaling is None:
            speaking.info(f"no temperature is best on {calibrate_on}: all is answered rightly there, or nothing")
        return replace(evaluation, temperature_scaling=scaling)


def _beside(
    evaluated: EvalInputs, data: str | Path | None, part: str, world: Processes, progress: Progress
) -> EvalInputs:
    """The same models and the images on which to find a temperature: others than those that are evaluated."""
    if data is None or evaluated.split is None or len(evaluated.engines) < len(evaluated.models):
        raise ProtocolError("A temperature is found on other images, with the models themselves and DATA.")
    split, skipped = world.from_first(
        lambda: evaluation_split(evaluated.engines, evaluated.engines[0].config.classes, data, part, None, progress)
    )
    if set(split.paths) & set(evaluated.split.paths) and split.where == evaluated.split.where:
        raise ProtocolError(f"The temperature cannot be found on the images that are evaluated; {part} is they.")
    return replace(evaluated, split=split, skipped=skipped)


def predict_all(
    chosen: EvalInputs, protocols: Sequence[CropProtocol], folder: Path | None, world: Processes, progress: Progress
) -> list[list[Predictions]]:
    """The predictions of every model under every protocol, kept in `folder` if there is one. Saved ones
    have their protocol already."""
    for name, model in zip(chosen.names, chosen.models, strict=True):
        if len(protocols) > 1 and isinstance(model, Predictions):
            raise ProtocolError(f"{name} has the predictions of one protocol; give the model itself for several.")
    found = []
    for name, model in zip(chosen.names, chosen.models, strict=True):
        if isinstance(model, Predictions):
            found.append([model])
            continue
        assert chosen.split is not None  # as there is a classifier
        if isinstance(model.source, Classifier):
            model.source.model.to(world.device)
        made = []
        for protocol in protocols:
            of = f" of {chosen.split.name}" if chosen.split.name else ""
            progress.info(f"evaluating {name} by {protocol.name} on {len(chosen.split)} images{of}")
            made.append(predict_split(model, name, chosen.split, protocol, folder, world, progress))
        found.append(made)
    return found


def evaluate_predictions(
    members: Sequence[Predictions],
    weights: Sequence[float],
    skipped: list[Skipped],
    split: Split | None = None,
) -> Evaluation:
    """Evaluate predictions, averaged with these weights where there are several."""
    first = members[0]
    task = Classification(first.about.classes)
    parts = [task.summarize(_finite(logs), first.labels[place]) for place, logs in combined(members, weights)]
    described = dict.fromkeys(member.about.description for member in members)
    protocol = "; ".join(described)
    if len(members) > 1:
        names = [f"{weight:g} x {member.title}" for weight, member in zip(weights, members, strict=True)]
        protocol += f"; probabilities of {len(members)} models averaged: {', '.join(names)}"
    files = first.files if split is None else _Files(split)
    return _evaluation(PredictionSummary.joined(parts), task, protocol, skipped, files, split)


def evaluate_split(
    classifier: Classifier,
    split: Split,
    skipped: list[Skipped],
    world: Processes,
    progress: Progress,
    *,
    precision: str = "fp32",
    interrupt: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Evaluate a classifier by its center crops on readable images whose labels index its classes, each process its
    share. `interrupt`, called for every image, may break it off."""
    import torch

    mine = split.select(world.share_or_stand_in(range(len(split))))
    predictor = Predictor.of(classifier, precision, device=world.device)
    logs = []
    for prediction in progress.track(predictor.stream(range(len(mine)), mine.image), len(mine), "evaluating"):
        interrupt()
        logs.append(prediction.log_probabilities)
    gathered = world.gather(torch.from_numpy(np.stack(logs)), len(split)).numpy()
    described = CENTER.describe(classifier.preprocessing)
    return evaluation_from_logits(gathered, classifier.classes, split, skipped, described)


def evaluation_from_logits(
    logits: Floats, classes: Sequence[str], split: Split, skipped: list[Skipped], protocol: str
) -> Evaluation:
    """The evaluation that logits (or log probabilities) [N, classes] of the images of a split amount to. Raises
    NonFiniteOutputError."""
    if np.isnan(logits).any() or np.isposinf(logits).any():
        raise NonFiniteOutputError
    task = Classification(classes)
    return _evaluation(task.summarize(logits, split.labels), task, protocol, skipped, _Files(split), split)


class _Files(Sequence[str]):
    """The names of a split's images, made when they are asked for."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: Any) -> Any:
        return self.split.file(index)


def _evaluation(
    summary: PredictionSummary,
    task: Task,
    protocol: str,
    skipped: list[Skipped],
    files: Sequence[str],
    split: Split | None,
) -> Evaluation:
    found = vars(task.scores(summary))
    return Evaluation(
        **found, classes=task.classes, protocol=protocol, skipped=skipped, summary=summary, files=files, split=split
    )


def _finite(logs: Floats) -> Floats:
    """Log probabilities as they are. Raises BundleError for nan; a probability of 0 is none."""
    if np.isnan(logs).any():
        raise NonFiniteOutputError
    return logs


def _temperature_scaling(
    evaluated: Sequence[Predictions], beside: Sequence[Predictions], weights: Sequence[float]
) -> TemperatureScaling | None:
    """What the temperature found on some predictions makes of others; None where none is best."""
    temperature = temperature_of(lambda: ((logs, beside[0].labels[place]) for place, logs in combined(beside, weights)))
    if temperature is None:
        return None
    task = Classification(evaluated[0].about.classes)
    parts = [
        task.summarize(logs / temperature, evaluated[0].labels[place]) for place, logs in combined(evaluated, weights)
    ]
    summary = PredictionSummary.joined(parts)
    return TemperatureScaling(
        temperature=temperature,
        images=len(beside[0]),
        error=calibration_error(summary),
        interval=calibration_interval(summary),
        loss=float(summary.nll.mean()),
    )


def _checked_weights(weights: Sequence[float] | None, count: int) -> Sequence[float]:
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        raise ProtocolError(
            f"The number of weights, {len(weights)}, is not that of the models, {count}; give one for each."
        )
    if not all(0 < weight < math.inf for weight in weights):
        raise ProtocolError(f"Weights are numbers above 0, not {', '.join(f'{weight:g}' for weight in weights)}.")
    return weights
