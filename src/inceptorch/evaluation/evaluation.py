"""Evaluating classifiers on labeled images."""

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
    fit_temperature,
    reliability,
    threshold,
)
from inceptorch.evaluation.inputs import EvalInputs, ModelInput, evaluation_split, resolve_inputs
from inceptorch.evaluation.predictions import Predictions, combined, predict_split
from inceptorch.images.crops import CENTER, CropProtocol, get_protocol
from inceptorch.inference.predictor import Predictor
from inceptorch.tasks import Classification
from inceptorch.tasks.metrics import Interval, PredictionSummary, Scores
from inceptorch.utils.arrays import Floats, Ints
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import DistributedContext


@dataclass(frozen=True)
class Mistake:
    """An image whose prediction is wrong. `label` and `predicted` are class names."""

    index: int
    file: str
    label: str
    predicted: str
    probability: float


class TemperatureScaling(TypedDict):
    """The effect of dividing logits by a temperature fitted on other images, as many as `images`: calibration error
    with its interval, and loss."""

    temperature: float
    images: int
    error: float
    interval: Interval
    loss: float


@dataclass(frozen=True)
class Evaluation(Scores):
    """Scores, with the protocol, the skipped images and a summary of the predictions. `split` is None for saved
    predictions without images."""

    classes: Sequence[str]
    protocol: str
    skipped: list[Skipped]
    summary: PredictionSummary
    files: Sequence[str]
    split: Split | None = None
    temperature_scaling: TemperatureScaling | None = None

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The wrong predictions, the most confident first."""
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
        """Images by true class (rows) and predicted class (columns), by torchmetrics."""
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
        """The confidence that 95 % of these images reach, and the effect of rejecting the others."""
        return threshold(self.summary)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"n", "top1", "top5", "loss", "protocol", "intervals", "calibration", "temperature_scaling",
        "unknown", "per_class", "skipped"}, fractions 0..1."""
        error, interval = self.calibration
        return {
            **{name: getattr(self, name) for name in ("n", "top1", "top5", "loss", "protocol", "intervals")},
            "calibration": {"error": error, "interval": interval, "bins": self.reliability},
            "temperature_scaling": self.temperature_scaling,
            "unknown": self.threshold,
            "per_class": self.per_class,
            "skipped": self.skipped,
        }


def evaluate(
    model: ModelInput | Sequence[ModelInput],
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
    """Evaluate a classifier, or an ensemble of several, on labeled images.

    model             a classifier, a bundle or run, published weights by name, an exported file, saved predictions
    data              as for training; saved predictions need none
    split             train, val or test; by default the first of test, val and train that DATA has
    protocol          crops to average: a name, a YAML file or a `CropProtocol`
    weights           of the members of an ensemble; by default equal
    save_predictions  a folder for files of predictions, which are read where they are there already
    calibrate_on      another split of DATA, to fit a temperature on
    exclude           a file of images to leave out, one per line
    engine, precision  as for `open_engine`

    Where training divided DATA itself, its validation images alone are evaluated by default. Images that cannot be read
    are skipped and listed. Under torchrun, all processes share the work. Raises DataError for classes that the
    classifier lacks, ProtocolError where members do not belong together.
    """
    from inceptorch.runtime.distributed import init_distributed

    progress = progress or Progress()
    models = [model] if isinstance(model, ModelInput) else list(model)
    crops = get_protocol(protocol)
    member_weights = _checked_weights(weights, len(models))
    folder = None if save_predictions is None else Path(save_predictions)
    with init_distributed() as world:
        speaking = progress if world.is_main else Progress(quiet=True)
        inputs = resolve_inputs(models, data, split, exclude, world, speaking, engine, precision)
        if data is None and crops != CENTER:
            raise ProtocolError("Cannot change the protocol of saved predictions. Name the models and DATA.")
        others = None
        if calibrate_on is not None:
            others = _calibration_inputs(inputs, data, calibrate_on, world, speaking)
        members = [each for (each,) in predict_all(inputs, [crops], folder, world, speaking)]
        evaluation = world.run_on_main(
            lambda: evaluate_predictions(members, member_weights, inputs.skipped, inputs.split)
        )
        if others is None:
            return evaluation
        fitted_on = [each for (each,) in predict_all(others, [crops], folder, world, speaking)]
        scaling = world.run_on_main(lambda: _temperature_scaling(members, fitted_on, member_weights))
        if scaling is None:
            speaking.info(f"no temperature is best on {calibrate_on}: all predictions are right there, or none")
        return replace(evaluation, temperature_scaling=scaling)


def _calibration_inputs(
    inputs: EvalInputs, data: str | Path | None, name: str, world: DistributedContext, progress: Progress
) -> EvalInputs:
    """The same models with the split to fit a temperature on, which must not be the evaluated one."""
    if data is None or inputs.split is None or len(inputs.engines) < len(inputs.models):
        raise ProtocolError("Cannot fit a temperature for saved predictions. Name the models and DATA.")
    classes = inputs.engines[0].config.classes
    split, skipped = world.run_on_main(lambda: evaluation_split(inputs.engines, classes, data, name, None, progress))
    if set(split.paths) & set(inputs.split.paths) and split.where == inputs.split.where:
        raise ProtocolError(f"Cannot fit the temperature on {name}, the images that are evaluated. Try another split.")
    return replace(inputs, split=split, skipped=skipped)


def predict_all(
    inputs: EvalInputs,
    protocols: Sequence[CropProtocol],
    folder: Path | None,
    world: DistributedContext,
    progress: Progress,
) -> list[list[Predictions]]:
    """The predictions of every model with every protocol; with a folder, from files there or to them."""
    for name, model in zip(inputs.names, inputs.models, strict=True):
        if len(protocols) > 1 and isinstance(model, Predictions):
            raise ProtocolError(f"Cannot use {name} for several protocols: it has predictions of one. Name the model.")
    members = []
    for name, model in zip(inputs.names, inputs.models, strict=True):
        if isinstance(model, Predictions):
            members.append([model])
            continue
        assert inputs.split is not None  # as there is a model
        if isinstance(model.source, Classifier):
            model.source.model.to(world.device)
        of = f" of {inputs.split.name}" if inputs.split.name else ""
        members.append([])
        for protocol in protocols:
            progress.info(f"evaluating {name} by {protocol.name} on {len(inputs.split)} images{of}")
            members[-1].append(predict_split(model, name, inputs.split, protocol, folder, world, progress))
    return members


def evaluate_predictions(
    members: Sequence[Predictions],
    weights: Sequence[float],
    skipped: list[Skipped],
    split: Split | None = None,
) -> Evaluation:
    """Evaluate predictions, or the weighted average of several."""
    first = members[0]
    task = Classification(first.metadata.classes)
    parts = [task.summarize(_finite(logs), first.labels[where]) for where, logs in combined(members, weights)]
    protocol = "; ".join(dict.fromkeys(member.metadata.description for member in members))
    if len(members) > 1:
        names = [f"{weight:g} x {member.title}" for weight, member in zip(weights, members, strict=True)]
        protocol += f"; probabilities of {len(members)} models averaged: {', '.join(names)}"
    files = first.files if split is None else _Files(split)
    return _evaluation(PredictionSummary.joined(parts), task, protocol, skipped, files, split)


def evaluate_split(
    classifier: Classifier,
    split: Split,
    skipped: list[Skipped],
    world: DistributedContext,
    progress: Progress,
    *,
    precision: str = "fp32",
    interrupt: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Evaluate a classifier with center crops on readable images whose labels index its classes, in all processes.

    `interrupt` is called for every image, and may raise."""
    import torch

    mine = split.select(world.shard_padded(range(len(split))))
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
    """The evaluation of logits or log probabilities [N, classes] of a split. Raises NonFiniteOutputError."""
    task = Classification(classes)
    return _evaluation(task.summarize(_finite(logits), split.labels), task, protocol, skipped, _Files(split), split)


class _Files(Sequence[str]):
    """The names of a split's images, made when needed."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: Any) -> Any:
        return self.split.file(index)


def _evaluation(
    summary: PredictionSummary,
    task: Classification,
    protocol: str,
    skipped: list[Skipped],
    files: Sequence[str],
    split: Split | None,
) -> Evaluation:
    found = vars(task.scores(summary))
    return Evaluation(
        **found, classes=task.classes, protocol=protocol, skipped=skipped, summary=summary, files=files, split=split
    )


def _finite(logits: Floats) -> Floats:
    """Logits or log probabilities as they are; a probability of 0 is allowed. Raises NonFiniteOutputError."""
    if np.isnan(logits).any() or np.isposinf(logits).any():
        raise NonFiniteOutputError
    return logits


def _temperature_scaling(
    evaluated: Sequence[Predictions], fitted_on: Sequence[Predictions], weights: Sequence[float]
) -> TemperatureScaling | None:
    """The effect on some predictions of the temperature fitted on others; None where no temperature is best."""
    labels, others = evaluated[0].labels, fitted_on[0].labels
    temperature = fit_temperature(lambda: ((logs, others[where]) for where, logs in combined(fitted_on, weights)))
    if temperature is None:
        return None
    task = Classification(evaluated[0].metadata.classes)
    summary = PredictionSummary.joined(
        [task.summarize(logs / temperature, labels[where]) for where, logs in combined(evaluated, weights)]
    )
    return TemperatureScaling(
        temperature=temperature,
        images=len(fitted_on[0]),
        error=calibration_error(summary),
        interval=calibration_interval(summary),
        loss=float(summary.nll.mean()),
    )


def _checked_weights(weights: Sequence[float] | None, count: int) -> Sequence[float]:
    if weights is None:
        return [1.0] * count
    if len(weights) != count:
        raise ProtocolError(f"Cannot use {len(weights)} weights for {count} models. Give one for each.")
    if not all(0 < weight < math.inf for weight in weights):
        raise ProtocolError(f"Weights are numbers above 0, not {', '.join(f'{weight:g}' for weight in weights)}.")
    return weights
