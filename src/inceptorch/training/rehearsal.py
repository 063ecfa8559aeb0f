"""Before a long run: the whole way in a few steps, to see that it can be gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inceptorch.data import Split
from inceptorch.data.sampler import steps_in
from inceptorch.recipes import Recipe
from inceptorch.training.checkpoint import Progressed
from inceptorch.training.estimate import WARM
from inceptorch.training.loop import Result, finish
from inceptorch.training.schedule import side
from inceptorch.training.work import on_trial
from inceptorch.utils.progress import Progress

STEPS, KEPT_AFTER = WARM + 2, WARM  # the checkpoint, and the slow first steps, come before the pace is taken
JUDGED = 64  # pictures at most


@dataclass(frozen=True)
class Rehearsal:
    """What a run would be: steps in an epoch, epochs, and about how many seconds the steps of one epoch at the largest
    side, and those of the whole run, would take (None where the classifier alone is trained)."""

    steps: int
    epochs: int
    epoch_seconds: float | None
    run_seconds: float | None


def rehearse(
    data: str | Path,
    *,
    net: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    look: Callable[[Result], None] = lambda result: None,
) -> Rehearsal:
    """Look at all pictures, train for five steps at the run's largest side, judge a few pictures, write checkpoint and
    bundle into a temporary folder, let `look` see the run, and delete it. The words are those of `train`, and so are the
    errors."""
    progress = progress or Progress()
    with on_trial(data, net, weights, recipe, seed, progress, needs_steps=False) as (work, world):
        real, pictures = work.run.recipe, len(work.train)
        size = work.classifier.pixels.size
        sides = [side(real, size, epoch) for epoch in range(real.epochs)]
        largest = max(sides, default=size)
        short = replace(
            real,
            epochs=min(real.epochs, 1),
            head_steps=min(real.head_steps, 10),
            checkpoint_every=KEPT_AFTER,
            growth=((0.0, largest / size), (1.0, largest / size)),
        )
        work.run = replace(work.run, recipe=short)
        work.train = _some(work.train, STEPS * real.batch, seed)
        work.held_out = _some(work.held_out, JUDGED, seed)
        work.run.begin(work.train, work.held_out)
        done = Progressed()
        result = finish(work, world, done, progress)
        look(result)
    steps = steps_in(pictures, real.batch)
    if not real.epochs:
        return Rehearsal(steps, 0, None, None)
    # Of few pictures there are too few steps for a pace; what they took is then all that is known.
    one = result.step_seconds or real.batch / done.rows[-1]["pictures_per_second"]
    return Rehearsal(steps, real.epochs, steps * one, steps * one * sum((at / largest) ** 2 for at in sides))


def _some(split: Split, count: int, seed: int) -> Split:
    """At most `count` of its pictures, drawn."""
    return split.keep(np.sort(np.random.default_rng(seed).permutation(len(split))[:count]))
