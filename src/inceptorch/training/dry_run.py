"""A dry run: all of a run in a few steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inceptorch.data import Split
from inceptorch.data.sampler import steps_per_epoch
from inceptorch.training.eta import WARMUP_STEPS
from inceptorch.training.recipe import Recipe
from inceptorch.training.schedule import image_size
from inceptorch.training.setup import TrainRequest, temporary_run
from inceptorch.training.tensorboard import TensorBoard
from inceptorch.training.trainer import Result, Trainer
from inceptorch.utils.progress import Progress

# The checkpoint, and the slow first steps, come before the pace is taken.
STEPS, CHECKPOINT_AFTER = WARMUP_STEPS + 2, WARMUP_STEPS
MAX_VAL_IMAGES = 64


@dataclass(frozen=True)
class DryRunReport:
    """Steps in an epoch, epochs, and estimated seconds of one epoch at the largest image size and of the whole run,
    without validation (None where the classifier alone is trained)."""

    steps: int
    epochs: int
    epoch_seconds: float | None
    run_seconds: float | None


def dry_run(
    data: str | Path,
    *,
    net: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    teacher: str | Path | None = None,
    progress: Progress | None = None,
    look: Callable[[Result], None] = lambda result: None,
) -> DryRunReport:
    """Check all images, train for five steps at the run's largest image size, evaluate a few images, and write
    checkpoint and bundle into a temporary folder, on which `look` is called. Arguments and errors as for `train`."""
    progress = progress or Progress()
    request = TrainRequest(data, net=net, weights=weights, recipe=recipe, seed=seed, teacher=teacher)
    with temporary_run(request, progress, needs_steps=False) as (context, world):
        real, images, size = context.run.recipe, len(context.train), context.classifier.preprocessing.size
        sizes = [image_size(real, size, epoch) for epoch in range(real.schedule.epochs)]
        largest = max(sizes, default=size)
        short = real.replace(
            epochs=min(real.schedule.epochs, 1),
            linear_probe_steps=min(real.optimization.linear_probe_steps, 10),
            checkpoint_every=CHECKPOINT_AFTER,
            size_schedule=((0.0, largest / size), (1.0, largest / size)),
        )
        context.run = replace(context.run, recipe=short)
        context.train = _some(context.train, STEPS * real.optimization.batch_size, seed)
        context.val = _some(context.val, MAX_VAL_IMAGES, seed)
        context.run.begin(context.train, context.val)
        trainer = Trainer(context, world, progress, [TensorBoard()])
        result = trainer.fit()
        look(result)
    steps = steps_per_epoch(images, real.optimization.batch_size)
    if not real.schedule.epochs:
        return DryRunReport(steps, 0, None, None)
    # Of few images there are too few steps for a pace; what they took is then all that is known.
    one = result.step_seconds or real.optimization.batch_size / trainer.state.rows[-1]["images_per_second"]
    run_seconds = steps * one * sum((at / largest) ** 2 for at in sizes)
    return DryRunReport(steps, real.schedule.epochs, steps * one, run_seconds)


def _some(split: Split, count: int, seed: int) -> Split:
    """At most `count` of its images, drawn."""
    return split.select(np.sort(np.random.default_rng(seed).permutation(len(split))[:count]))
