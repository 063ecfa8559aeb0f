"""The linear probe in folds: an estimate of its accuracy from all images, each judged by a fit that did not see it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inceptorch.data.groups import Groups, folds_of, groups_of
from inceptorch.data.split import Split, split_of
from inceptorch.errors import RunError
from inceptorch.tasks.metrics import Interval, wilson_interval
from inceptorch.training.linear_probe import Features, choose_l2, fit
from inceptorch.training.setup import TrainingContext
from inceptorch.utils.files import write_text
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import build, check_fields

RESAMPLES = 2000  # of the groups, for the interval


@dataclass(frozen=True)
class CrossValidation:
    """Accuracy in folds.

    folds          their number
    n              images, of the training and validation splits together; those of a test split are left out
    groups         kept together; None where each image stands alone
    top1           fraction of all images whose most probable class is right
    top1_interval  of 95 %: Wilson's, or with groups by resampling whole groups, as images of one are alike
    per_fold       of each fold
    """

    folds: int
    n: int
    groups: int | None
    top1: float
    top1_interval: Interval
    per_fold: list[float]

    def __post_init__(self) -> None:
        check_fields(self, RunError)


def cross_validate(context: TrainingContext, features: Features, progress: Progress) -> CrossValidation:
    """Fit the classifier anew without each fold, its L2 chosen anew where the recipe's is "auto", and write the result
    into the run's folder. Raises as `assign_folds`."""
    folds, seed = context.run.recipe.data.folds, context.run.seed
    splits = _splits(context)
    x = torch.cat([features.train, features.val][: len(splits)])
    targets = torch.from_numpy(np.concatenate([split.labels for split in splits]).astype(np.int64))
    assigned, groups = assign_folds(context)
    fold = torch.from_numpy(assigned)
    right = torch.zeros(len(targets), dtype=torch.bool)
    for number in progress.track(range(folds), folds, "folds"):
        left = fold == number
        right[left] = _fitted(x[~left], targets[~left], context, x[left]).argmax(1) == targets[left]
    found = CrossValidation(
        folds=folds,
        n=len(right),
        groups=None if groups is None else len(np.unique(groups)),
        top1=float(right.float().mean()),
        top1_interval=_interval(right.numpy(), groups, seed),
        per_fold=[float(right[fold == number].float().mean()) for number in range(folds)],
    )
    write_text(context.run.folds, json.dumps(asdict(found)) + "\n")
    return found


def assign_folds(context: TrainingContext) -> tuple[NDArray[np.int64], Groups | None]:
    """The fold and the group of each image. Raises RunError for more folds than images or groups, DataError for an
    image without a group."""
    recipe, splits = context.run.recipe, _splits(context)
    labels = np.concatenate([split.labels for split in splits])
    named = [each for split in splits if (each := groups_of(split, recipe.data.group_by)) is not None]
    groups = np.concatenate(named) if named else None
    units, word = (len(labels), "images") if groups is None else (len(np.unique(groups)), "groups")
    if not 2 <= recipe.data.folds <= units:
        raise RunError(f"Cannot divide {units} {word} into {recipe.data.folds} folds. Try a number from 2 to {units}.")
    return folds_of(labels, groups, recipe.data.folds, context.run.seed), groups


def _splits(context: TrainingContext) -> list[Split]:
    """The splits to divide: test images stay apart, for a comparison with the estimate."""
    return [context.train] if split_of(context.val.name) == "test" else [context.train, context.val]


def read_cross_validation(path: Path) -> CrossValidation | None:
    """What `cross_validate` wrote there; None if there is nothing."""
    if not path.exists():
        return None
    try:
        values: Any = json.loads(path.read_text())
    except ValueError:
        raise RunError(f"Cannot read {path}: it is not what training wrote. Delete it.") from None
    return build(CrossValidation, values, str(path), RunError)


def _fitted(x: Tensor, labels: Tensor, context: TrainingContext, others: Tensor) -> Tensor:
    """Outputs for `others` of the classifier fitted to features [N, C]. Its L2 is chosen by a fifth of them, as each
    fold chooses anew."""
    recipe, classes = context.run.recipe, len(context.classifier.classes)
    if recipe.optimization.linear_probe_l2 == "auto":
        recipe = recipe.replace(linear_probe_l2=choose_l2(x, labels, classes, recipe, context.run.seed, few_images=0))
    *_, last = fit(x, labels, classes, recipe)
    return others @ last.weight.T + last.bias


def _interval(right: NDArray[np.bool_], groups: Groups | None, seed: int) -> Interval:
    if groups is None:
        return wilson_interval(int(right.sum()), len(right))
    numbers = np.unique(groups, return_inverse=True)[1]
    hits, sizes = np.bincount(numbers, right), np.bincount(numbers)
    random = np.random.default_rng(seed)
    draws = (random.integers(len(sizes), size=len(sizes)) for _ in range(RESAMPLES))  # not at once: there may be many
    low, high = np.quantile([hits[drawn].sum() / sizes[drawn].sum() for drawn in draws], [0.025, 0.975])
    return float(low), float(high)
