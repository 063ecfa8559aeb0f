"""Finding a learning rate: a short training in which it grows with every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inceptorch.data.augment import Batch, derive_seed
from inceptorch.data.loader import load_batches
from inceptorch.data.sampler import epoch_batches
from inceptorch.errors import RecipeError
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.linear_probe import compute_features, fit_linear_probe
from inceptorch.training.malloc import keep_freed_memory
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.recipe import Recipe
from inceptorch.training.schedule import image_size
from inceptorch.training.setup import TrainingContext, TrainRequest, temporary_run
from inceptorch.training.step import TrainStep
from inceptorch.utils.progress import Progress

STEPS = 100
MIN_LR, MAX_LR = 1e-5, 10.0
MOMENTUM = 0.9  # of the running mean of the losses
DIVERGED = 2.0  # a loss of so many times the smallest ends the search


@dataclass(frozen=True)
class LRCurve:
    """Rates tried, the running mean of the losses there, and the rate to take: a tenth of where the loss is smallest
    (after Smith, arXiv:1506.01186)."""

    rates: list[float]
    losses: list[float]

    @property
    def suggested(self) -> float:
        best = self.rates[min(range(len(self.losses)), key=self.losses.__getitem__)]
        return float(f"{best / 10:.1g}")


def find_lr(
    data: str | Path,
    *,
    net: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    teacher: str | Path | None = None,
    progress: Progress | None = None,
) -> LRCurve:
    """Train for at most a hundred steps, each at a higher rate than the one before, until the loss diverges. Nothing is
    saved. Arguments and errors are those of `train`."""
    progress = progress or Progress()
    request = TrainRequest(data, net=net, weights=weights, recipe=recipe, seed=seed, teacher=teacher)
    with temporary_run(request, progress) as (context, world):
        context.classifier.model.to(world.device)
        if context.run.recipe.optimization.linear_probe_steps:
            context.run.begin(context.train, context.val)  # for the features
            for _ in fit_linear_probe(context, compute_features(context, world, progress), world, progress):
                pass
        with keep_freed_memory():
            return _search(context, world, progress)


def _search(context: TrainingContext, world: DistributedContext, progress: Progress) -> LRCurve:
    recipe, classifier, task = context.run.recipe, context.classifier, context.task
    optimizer = build_optimizer(classifier.model, recipe)
    weights = task.class_weights(context.train, recipe.optimization.class_weight_power)
    step = TrainStep(classifier, optimizer, recipe, task, weights, world, teacher=context.teacher)
    growth = (MAX_LR / MIN_LR) ** (1 / (STEPS - 1))
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, (images, targets, _) in enumerate(progress.track(_batches(context), STEPS, "learning rates")):
        rate = MIN_LR * growth**number
        loss = float(step(images, targets, len(targets), rate, derive_seed(context.run.seed, number)))
        mean = MOMENTUM * mean + (1 - MOMENTUM) * loss
        smooth = mean / (1 - MOMENTUM ** (number + 1))
        if not math.isfinite(smooth) or (losses and smooth > DIVERGED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
    if not rates:
        raise RecipeError(
            f"Cannot find a learning rate: the loss is not finite at {MIN_LR:g}. Check the weights and the images."
        )
    return LRCurve(rates, losses)


def _batches(context: TrainingContext) -> Iterator[Batch]:
    """The batches of as many steps as are tried, over as many epochs as that takes."""
    run, pixels, left, epoch = context.run, context.classifier.preprocessing, STEPS, 0
    data = context.task.dataset(context.train, pixels, run.recipe.augmentation, run.seed, None)
    while left:
        data.epoch = epoch
        data.size = image_size(run.recipe, pixels.size, run.recipe.schedule.epochs - 1)
        order = epoch_batches(
            context.train, run.recipe.optimization.batch_size, run.seed, epoch, run.recipe.data.shuffle
        )[:left]
        yield from load_batches(data, [batch.tolist() for batch in order], max(0, run.recipe.runtime.num_workers))
        left -= len(order)
        epoch += 1
