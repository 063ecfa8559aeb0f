"""Before a long run: the whole way in a few steps, to see that it can be gone; what is fastest here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inceptorch.data import Split
from inceptorch.progress import Progress
from inceptorch.recipes import Recipe
from inceptorch.training.checkpoint import Progressed
from inceptorch.training.loop import Result, finish
from inceptorch.training.speed import Way, measure_ways
from inceptorch.training.work import on_trial

STEPS = 3
JUDGED = 64  # pictures at most


@dataclass(frozen=True)
class Rehearsal:
    """What a run would be: steps in an epoch, epochs, and about how many seconds one epoch's steps would take (None where
    the classifier alone is trained)."""

    steps: int
    epochs: int
    epoch_seconds: float | None


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
    """Look at all pictures, train for three steps, judge a few pictures, write checkpoint and bundle into a temporary
    folder, let `look` see the run, and delete it. The words are those of `train`, and so are the errors."""
    progress = progress or Progress()
    with on_trial(data, net, weights, recipe, seed, progress, needs_steps=False) as (work, world):
        real, pictures = work.run.recipe, len(work.train)
        short = replace(real, epochs=min(real.epochs, 1), head_steps=min(real.head_steps, 10), checkpoint_every=2)
        work.run = replace(work.run, recipe=short)
        work.train = _some(work.train, STEPS * real.batch, seed)
        work.held_out = _some(work.held_out, JUDGED, seed)
        work.run.begin(work.train, work.held_out)
        done = Progressed()
        look(finish(work, world, done, progress))
        speed = done.rows[-1].get("pictures_per_second")
    return Rehearsal(-(-pictures // real.batch), real.epochs, pictures / speed if speed else None)


def measure(
    data: str | Path,
    *,
    net: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Way]:
    """Time the steps of a run in every way to compute them, and remember which is fastest on this machine: later runs of
    the same network, size and batch take it, where their recipe leaves the choice. The words are those of `train`."""
    progress = progress or Progress()
    with on_trial(data, net, weights, recipe, seed, progress) as (work, world):
        return measure_ways(work.classifier, work.train, work.run.recipe, world, progress)


def _some(split: Split, count: int, seed: int) -> Split:
    """At most `count` of its pictures, drawn; of a stream the first, which lie in one shard."""
    if split.streams:
        return split.keep(range(min(count, len(split))))
    return split.keep(np.sort(np.random.default_rng(seed).permutation(len(split))[:count]))
