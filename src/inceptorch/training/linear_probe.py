"""A new classifier on features of the frozen body: cached, and fitted to the optimum.

With the body frozen and no augmentation, every epoch would compute the same features; so they are computed once. What
remains is multinomial logistic regression, which L-BFGS solves in a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.statistics import FeatureStatistics
from inceptorch.data import Split
from inceptorch.errors import BundleError, RunError
from inceptorch.evaluation import Evaluation
from inceptorch.inference.distance import distance_threshold
from inceptorch.inference.engines.torch import Torch
from inceptorch.inference.pipeline import map_batches
from inceptorch.models.weights import read_safetensors, write_safetensors
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.recipe import Recipe
from inceptorch.training.setup import TrainingContext
from inceptorch.training.step import precision
from inceptorch.utils.progress import Progress

STEPS_AT_A_TIME = 10
FOLDS = 5  # of the images, to choose the L2 by
FEW_IMAGES = 2000  # up to which every fold is left out once; of more, one alone says enough
CONVERGED = 1e-5  # a smaller gain in loss from one batch of steps to the next ends the fit


@dataclass(frozen=True)
class Features:
    """Inputs of the linear layer: [images, num_features] of the training and of the validation images."""

    train: Tensor
    val: Tensor


@dataclass(frozen=True)
class Fit:
    """The classifier after `steps` steps: weight [classes, features], bias [classes], and the loss it has reached."""

    steps: int
    weight: Tensor
    bias: Tensor
    loss: float


def fit_linear_probe(
    context: TrainingContext, features: Features, world: DistributedContext, progress: Progress
) -> Iterator[tuple[dict[str, Any], Evaluation]]:
    """Fit the classifier's linear layer, putting it in place every few steps; yields a row of metrics each time."""
    classifier, recipe = context.classifier, context.run.recipe
    linear = classifier.model.get_classifier()
    labels = torch.tensor(context.train.labels, dtype=torch.int64)
    if recipe.optimization.linear_probe_l2 == "auto":
        arguments = features.train, labels, len(classifier.classes), recipe, context.run.seed
        l2 = world.run_on_main(lambda: choose_l2(*arguments))
        progress.info(f"linear_probe_l2={l2:g} has the lowest loss in cross-validation on the training images")
        recipe = recipe.replace(linear_probe_l2=l2)
    for fitted in fit(features.train, labels, len(classifier.classes), recipe):
        if not math.isfinite(fitted.loss):
            raise RunError(
                f"The loss of the classifier is {fitted.loss} after {fitted.steps} steps: check the weights given."
            )
        with torch.no_grad():
            linear.weight.copy_(fitted.weight)
            linear.bias.copy_(fitted.bias)
        row = {"phase": "head", "epoch": fitted.steps, "train_loss": fitted.loss}
        yield row, context.evaluate(features.val @ fitted.weight.T + fitted.bias)


def compute_features(context: TrainingContext, world: DistributedContext, progress: Progress) -> Features:
    """The features of both splits, from the run's file if an interrupted run left it, else computed by all
    processes and written there. In bf16, where that is set, only if the whole network is trained afterwards."""
    classifier, recipe, path = context.classifier, context.run.recipe, context.run.features
    saved = _saved(path) if world.is_main else None
    if world.run_on_main(lambda: saved is not None):
        return saved or Features(**read_safetensors(path))
    bf16 = recipe.schedule.epochs > 0 and precision(recipe, world.device) == "bf16"
    found = Features(
        split_features(classifier, context.train, "training", world, progress, bf16),
        split_features(classifier, context.val, "validation", world, progress, bf16),
    )
    if world.is_main:
        write_safetensors(path, vars(found), {})
    return found


def split_features(
    classifier: Classifier, split: Split, name: str, world: DistributedContext, progress: Progress, bf16: bool = False
) -> Tensor:
    """The features of a split's images, [N, num_features], computed by all processes."""
    model, engine = classifier.model, Torch(classifier, device=world.device)
    mine = split.select(world.shard_padded(range(len(split))))

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(world.device.type, torch.bfloat16, enabled=bf16):
            return model.forward_head(model.forward_features(x), pre_logits=True)

    def crops_to_features(indices: list[int]) -> Tensor:
        return classifier.logits([mine.crop(index, classifier.preprocessing) for index in indices], forward)

    batches = map_batches(engine, crops_to_features, range(len(mine)), engine.batch_size)
    found = torch.cat(list(progress.track(batches, len(mine), f"features of {name} images", size=len)))
    return world.gather(found, len(split))


def keep_statistics(context: TrainingContext, features: Features, classifier: Classifier) -> None:
    """Give the classifier the statistics of the training images' features, with the threshold of distance that the
    validation images set."""
    classifier.statistics = FeatureStatistics.of(features.train.numpy(), context.train.labels, len(classifier.classes))
    distance = distance_threshold(classifier.statistics, features.val.numpy())
    classifier.config = replace(classifier.config, metadata=replace(classifier.config.metadata, distance=distance))


def _saved(path: Path) -> Features | None:
    """The features that an interrupted run left there, if they are as it wrote them."""
    try:
        return Features(**read_safetensors(path))
    except (BundleError, TypeError):  # other names of tensors
        return None


def choose_l2(
    features: Tensor, labels: Tensor, num_classes: int, recipe: Recipe, seed: int, few_images: int = FEW_IMAGES
) -> float:
    """The weight of the squared weights, from 0.0001 to 1, with the lowest cross entropy on images [N, C] that were
    left out of the fit: each once up to `few_images`, else a fifth. From 0.01 it goes up or down as long as that
    lowers the loss."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=draw)
    order = order[labels[order].argsort(stable=True)]
    folds = torch.empty(len(labels), dtype=torch.int64)
    folds[order] = torch.arange(len(labels)) % FOLDS  # as many of each class in each, to within one
    used = range(FOLDS if len(labels) <= few_images else 1)

    @cache
    def loss(half_decades: int) -> float:
        l2 = 0.01 * 10 ** (half_decades / 2)
        total = 0.0
        for fold in used:
            kept, left = folds != fold, folds == fold
            *_, last = fit(features[kept], labels[kept], num_classes, recipe.replace(linear_probe_l2=l2))
            outputs = features[left] @ last.weight.T + last.bias
            total += float(F.cross_entropy(outputs, labels[left], reduction="sum"))
        return total if math.isfinite(total) else math.inf

    best = 0
    for step in (1, -1):
        while abs(best + step) <= 4 and loss(best + step) < loss(best):
            best += step
    return float(f"{0.01 * 10 ** (best / 2):.3g}")


def fit(features: Tensor, labels: Tensor, num_classes: int, recipe: Recipe) -> Iterator[Fit]:
    """Fit the classifier to features [N, C] and labels [N] with the recipe's L2, a number; yields it every few steps
    of L-BFGS."""
    mean, spread = features.mean(0), features.std().clamp(min=1e-12)
    x = (features - mean) / spread  # so that one value of linear_probe_l2 serves every network
    weight = torch.zeros(num_classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS_AT_A_TIME, line_search_fn="strong_wolfe")
    config = recipe.optimization
    l2 = float(config.linear_probe_l2)

    def compute_loss() -> Tensor:
        error = F.cross_entropy(x @ weight.T + bias, labels, label_smoothing=config.label_smoothing)
        return error + l2 * weight.square().sum()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = compute_loss()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    before = math.inf
    for steps in range(STEPS_AT_A_TIME, config.linear_probe_steps + STEPS_AT_A_TIME, STEPS_AT_A_TIME):
        optimizer.param_groups[0]["max_iter"] = STEPS_AT_A_TIME - max(0, steps - config.linear_probe_steps)
        optimizer.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            folded = weight / spread
            fitted = Fit(min(steps, config.linear_probe_steps), folded, bias - folded @ mean, float(compute_loss()))
        yield fitted
        if not before - fitted.loss > CONVERGED:
            return
        before = fitted.loss
