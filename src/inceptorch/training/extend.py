"""`extend`: new classes for a run of recipe `head`, from their images alone and in seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import Metadata, ValidationSplit
from inceptorch.classifier.hub import load, resolve_weights
from inceptorch.classifier.statistics import STATISTICS, Doubles, FeatureStatistics
from inceptorch.data import Skipped, Split, fingerprint, has_boxes, without_unreadable
from inceptorch.data.locator import absolute, ensure_outside, short_name
from inceptorch.data.resolve import open_splits
from inceptorch.data.split import DRAWN_VAL, composed, stratified
from inceptorch.data.verify import report_skipped
from inceptorch.errors import BundleError, DataError, NonFiniteOutputError
from inceptorch.evaluation import Evaluation, evaluation_from_logits
from inceptorch.images.crops import CENTER
from inceptorch.runtime.distributed import init_distributed
from inceptorch.training.discriminant import estimate_accuracy, extend_rows
from inceptorch.training.linear_probe import split_features
from inceptorch.training.recipe import RECIPES
from inceptorch.training.run import Run, next_run_dir
from inceptorch.training.trainer import Result
from inceptorch.utils.files import ensure_empty, new_folder
from inceptorch.utils.progress import Progress

HEAD = RECIPES["head"]
ESTIMATED = "estimated_top1"  # in the metadata: of all classes, as no images of the old ones are at hand


@dataclass(frozen=True)
class Extension:
    """What was made of a run.

    added, updated  names of the classes that it had not, and of those that got more images
    images          of these, without those of validation
    old_top1        accuracy on the classes that it had, from its validation images or as it was estimated; None where
                    that is not known
    new_old_top1    an estimate of what it is now, from the statistics of the features: no image was looked at; None
                    where old_top1 is
    """

    added: list[str]
    updated: list[str]
    images: int
    old_top1: float | None
    new_old_top1: float | None


@dataclass(frozen=True)
class _Images:
    """The new images, whose labels index the old classes and then the new ones. `val` is empty where each class has one
    image."""

    train: Split
    val: Split
    skipped: list[Skipped]
    fingerprint: str
    added: list[str]
    updated: list[str]


def extend(
    data: str | Path,
    run: str | Path,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Add the classes of `data` to a run or bundle, or their images to classes that it has, and write a new run.

    data  as for training; one image of a class is enough. Without a validation split, a fifth of each class becomes
          one, and nothing of a class with one image; the result's evaluation is None where none has more
    run   a run or bundle of recipe `head`, or one that was extended before
    out   the new run's folder, which appears when it is complete

    What tells the old classes from one another stays as it is. Raises BundleError for a bundle without the statistics
    of its features, DataError and RunError.
    """
    began, progress = time.monotonic(), progress or Progress()
    classifier = load(run)
    before = _statistics(classifier, run)
    folder = Path(out) if out is not None else next_run_dir(data)
    ensure_empty(folder)
    ensure_outside(folder, absolute(data))
    images = _read(data, classifier.classes, seed, progress)
    with init_distributed(enabled=False) as world:
        features = split_features(classifier, images.train, "training", world, progress).numpy()
        val_features = None
        if len(images.val):
            val_features = split_features(classifier, images.val, "validation", world, progress).numpy()
    classifier.model.cpu()
    after = before.updated(features, images.train.labels, len(images.train.classes))
    linear = classifier.model.get_classifier()
    given, given_bias = (each.detach().double().numpy() for each in (linear.weight, linear.bias))
    weight, bias = extend_rows(given, given_bias, before, after, HEAD.optimization.label_smoothing)
    if not np.isfinite(weight).all():
        raise NonFiniteOutputError
    evaluation = None
    if val_features is not None:
        logits = (val_features @ weight.T + bias).astype(np.float32)
        protocol = CENTER.describe(classifier.preprocessing)
        evaluation = evaluation_from_logits(logits, images.train.classes, images.val, images.skipped, protocol)
    top1 = classifier.config.metadata.other.get(ESTIMATED, classifier.config.metadata.top1)
    old_top1 = top1 if isinstance(top1, int | float) else None
    new_old_top1 = None if old_top1 is None else estimate_accuracy(weight, bias, before, old_top1)

    extension = Extension(images.added, images.updated, len(images.train), old_top1, new_old_top1)
    metadata = _metadata(classifier, data, images, seed, evaluation, new_old_top1)
    extended = _extended(classifier, images.train.classes, weight, bias, after, metadata)
    _write(folder, extended, data, run, images, seed)
    scores = {} if evaluation is None else {"top1": evaluation.top1, "top5": evaluation.top5}
    return Result(folder, 0, time.monotonic() - began, evaluation, scores, extended, extension=extension)


def _statistics(given: Classifier, run: str | Path) -> FeatureStatistics:
    """The statistics of the features in a bundle. Raises BundleError where there are none."""
    if given.config.detection is not None:
        raise BundleError(f"Cannot extend {run}: it is a detector. Try inceptorch train DATA --weights {run}.")
    if given.statistics is None:
        raise BundleError(
            f"Cannot extend {run}: it has no {STATISTICS}, which recipe head writes. Train it anew with "
            "inceptorch train DATA --weights BUNDLE --recipe head."
        )
    return given.statistics


def _read(data: str | Path, known: Sequence[str], seed: int, progress: Progress) -> _Images:
    """The readable images of DATA. Raises DataError."""
    if has_boxes(data):
        raise DataError(f"Cannot extend by {data}: its images have boxes. Give every class a folder of images.")
    splits = open_splits(data)
    name = next((each for each in ("", "train") if each in splits), None)
    whole = None if name is None else splits[name]()
    if whole is None or not len(whole):
        raise DataError(f"Cannot extend by {data}: it has no images in class folders. Put each class into a folder.")
    empty = [each for each, count in whole.counts().items() if not count]
    if empty:
        raise DataError(f"Cannot extend by {data}: the class {empty[0]!r} has no images. Add some, or delete it.")
    val_name = next((each for each in ("val", "test") if each in splits), None)
    train, val = stratified(whole, HEAD.data.val_fraction, seed) if val_name is None else (whole, splits[val_name]())
    old = set(map(composed, known))
    added = [each for each in whole.classes if each not in old]
    updated = [each for each in whole.classes if each in old]
    train, val = (split.with_classes([*known, *added]) for split in (train, val))
    found = fingerprint(train, val)
    skipped: list[Skipped] = []
    if len(val):
        val, skipped = without_unreadable(val, progress)
    train, others = without_unreadable(train, progress)
    report_skipped(others + skipped, progress.info)
    return _Images(train, val, others + skipped, found, added, updated)


def _metadata(
    given: Classifier, data: str | Path, images: _Images, seed: int, evaluation: Evaluation | None, old: float | None
) -> Metadata:
    """The metadata of the new bundle: scores are of the new validation images alone, and with the `old` classes'
    accuracy an estimate of all."""
    about, val = given.config.metadata, images.val
    trained_on = f"{about.trained_on or 'unknown images'}, and {len(images.train)} images of {short_name(data)}"
    other = {name: value for name, value in about.other.items() if name != ESTIMATED}
    kept = Metadata(recipe=about.recipe, distance=about.distance, license=about.license, trained_on=trained_on)
    if old is not None:  # classes without validation images count like the old ones
        share = 1.0 if evaluation is None else len(given.classes) / len(images.train.classes)
        other[ESTIMATED] = round(share * old + (1 - share) * (0.0 if evaluation is None else evaluation.top1), 5)
    if evaluation is None:
        return replace(kept, other=other)
    split = ValidationSplit(fraction=HEAD.data.val_fraction, seed=seed, fingerprint=images.fingerprint)
    return replace(
        kept,
        validated_on=f"{len(val)} images of {val.name} of {short_name(data)}",
        top1=round(evaluation.top1, 5),
        top5=round(evaluation.top5, 5),
        split=split if val.name == DRAWN_VAL else None,
        other=other,
    )


def _extended(
    given: Classifier,
    classes: Sequence[str],
    weight: Doubles,
    bias: Doubles,
    statistics: FeatureStatistics,
    metadata: Metadata,
) -> Classifier:
    """The classifier with these rows and classes; the given one's model becomes its own."""
    given.model.reset_classifier(len(classes))
    linear = given.model.get_classifier()
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))
    config = replace(given.config, classes=list(classes), metadata=metadata)
    return Classifier(given.model.eval(), config, statistics)


def _write(folder: Path, classifier: Classifier, data: str | Path, run: str | Path, images: _Images, seed: int) -> None:
    """Write the run's folder, whole or not at all. Raises RunError."""
    with new_folder(folder) as new:
        record = Run(
            folder=new,
            data=absolute(data),
            weights=resolve_weights(run),
            recipe=HEAD.replace(net=classifier.config.architecture),
            net=classifier.config.network,
            seed=seed,
            fingerprint=images.fingerprint,
            skipped=images.skipped,
            extends=True,
        )
        record.begin(images.train, images.val)
        record.write_metrics([])
        classifier.write(new)
