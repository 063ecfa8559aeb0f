"""Finding a learning rate: a short training in which it grows with every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from inceptorch.data.augment import Augmented, key
from inceptorch.data.loader import load as load_batches
from inceptorch.data.sampler import batches
from inceptorch.errors import RecipeError
from inceptorch.recipes import Recipe
from inceptorch.runtime.distributed import Processes
from inceptorch.training.loop import fit_head
from inceptorch.training.memory_kept import memory_kept
from inceptorch.training.objective import class_weights
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.schedule import side
from inceptorch.training.step import Step
from inceptorch.training.work import Work, on_trial
from inceptorch.utils.progress import Progress

STEPS = 100
FIRST, LAST = 1e-5, 10.0
MEMORY = 0.9  # of the running mean of the losses
DIVERGED = 2.0  # a loss of so many times the smallest ends the search


@dataclass(frozen=True)
class Rates:
    """Rates tried, the running mean of the losses there, and the rate to take: a tenth of where the loss is smallest
    (after Smith, arXiv:1506.01186)."""

    rates: list[float]
    losses: list[float]

    @property
    def suggested(self) -> float:
        best = self.rates[min(range(len(self.losses)), key=self.losses.__getitem__)]
        return float(f"{best / 10:.1g}")


def find_rate(
    data: str | Path,
    *,
    net: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Rates:
    """Train for at most a hundred steps, each at a higher rate than the one before, until the loss breaks out. Nothing is
    kept. The words are those of `train`, and so are the errors."""
    progress = progress or Progress()
    with on_trial(data, net, weights, recipe, seed, progress) as (work, world):
        work.classifier.model.to(world.device)
        if work.run.recipe.head_steps:
            work.run.begin(work.train, work.held_out)  # for the features
            for _ in fit_head(work, world, progress):
                pass
        with memory_kept():
            return _search(work, world, progress)


def _search(work: Work, world: Processes, progress: Progress) -> Rates:
    recipe, classifier = work.run.recipe, work.classifier
    optimizer = optimizer_for(classifier.model, recipe)
    step = Step(classifier, optimizer, recipe, class_weights(work.train, recipe), world)
    growth = (LAST / FIRST) ** (1 / (STEPS - 1))
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, (pictures, labels) in enumerate(progress.track(_pictures(work), STEPS, "trying rates")):
        rate = FIRST * growth**number
        loss = float(step(pictures, labels, len(labels), rate, key(work.run.seed, number)))
        mean = MEMORY * mean + (1 - MEMORY) * loss
        smooth = mean / (1 - MEMORY ** (number + 1))
        if not math.isfinite(smooth) or (losses and smooth > DIVERGED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
    if not rates:
        raise RecipeError(
            f"The loss is not finite at a rate of {FIRST:g} already: look at the weights and the pictures."
        )
    return Rates(rates, losses)


def _pictures(work: Work) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of as many steps as are tried, over as many epochs as that takes."""
    run, left, epoch = work.run, STEPS, 0
    data = Augmented(work.train, work.classifier.pixels, run.recipe, run.seed)
    while left:
        data.epoch = epoch
        data.side = side(run.recipe, work.classifier.pixels.size, run.recipe.epochs - 1)
        order = batches(work.train, run.recipe.batch, run.seed, epoch, run.recipe.shuffle)[:left]
        for pictures, labels, _ in load_batches(data, [batch.tolist() for batch in order], max(0, run.recipe.workers)):
            yield pictures, labels
        left -= len(order)
        epoch += 1
