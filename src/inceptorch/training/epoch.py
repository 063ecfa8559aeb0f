"""One pass over the training pictures."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch

from inceptorch.classifier.classifier import CONFIG
from inceptorch.data.augment import Augmented, Batch, key
from inceptorch.data.loader import choose_workers
from inceptorch.data.loader import load as load_batches
from inceptorch.data.sampler import batches
from inceptorch.errors import ImageError, RunError
from inceptorch.recipes import Recipe
from inceptorch.runtime.distributed import Arriving, Processes
from inceptorch.training.averaging import Average
from inceptorch.training.checkpoint import Progressed
from inceptorch.training.estimate import Estimate, as_people_say
from inceptorch.training.run import Run
from inceptorch.training.schedule import rate, side
from inceptorch.training.step import Step
from inceptorch.training.stopping import Stopping
from inceptorch.training.work import Work
from inceptorch.utils.cpu import processors
from inceptorch.utils.progress import Progress

MOST_WORKERS = 16


def train_epoch(
    work: Work,
    step: Step,
    average: Average | None,
    done: Progressed,
    keep_place: Callable[[], None],
    estimate: Estimate,
    stopping: Stopping,
    progress: Progress,
) -> dict[str, Any]:
    """One pass over the training pictures, or what is left of it, with checkpoints on the way; the row of metrics it
    gives. What `stopping` was asked is obeyed between two steps, after a checkpoint."""
    run, split, world, epoch = work.run, work.train, step.world, done.epoch
    recipe = run.recipe

    data = Augmented(split, work.classifier.pixels, recipe, run.seed)
    data.epoch = epoch
    data.side = side(recipe, work.classifier.pixels.size, epoch)
    order = batches(split, recipe.batch, run.seed, epoch, recipe.shuffle)
    left = [list(world.share(batch.tolist())) for batch in order[done.step :]]
    loader = load_batches(data, left, _workers(recipe, world, data, left, estimate))

    began = kept = ready = time.monotonic()
    waited, seen, lr = 0.0, 0, rate(recipe, epoch, max(0, done.step - 1), len(order))
    unheard: deque[tuple[int, Arriving]] = deque()

    def hear() -> tuple[bool, bool]:
        """Count the loss of the oldest step not yet heard of; whether a process was asked to stop, and whether a
        checkpoint is due."""
        number, told = unheard.popleft()
        loss, asked, due = told.read()
        if not math.isfinite(loss):
            raise RunError(_not_finite(run, loss, epoch, number))
        done.loss += loss * len(order[number])
        return asked > 0, due > 0

    def note() -> str:
        seconds = estimate.left(epoch, done.step)
        waiting = f"waiting {waited / (time.monotonic() - began):.0%}"
        return waiting if seconds is None else f"{waiting}, done in {as_people_say(seconds)}"

    def loaded() -> Iterator[Batch]:
        """What the loader gives. Before it fails for a picture that is gone, the place is kept."""
        try:
            yield from loader
        except ImageError:
            while unheard:
                hear()
            if world.count == 1:  # else others may be in the middle of a step
                keep_place()
            raise

    for pictures, labels, _ in progress.track(loaded(), len(left), f"epoch {epoch + 1}", note):
        began_step, waiting = ready, time.monotonic() - ready
        waited += waiting
        lr = rate(recipe, epoch, done.step, len(order))
        whole = len(order[done.step])
        seed = key(run.seed, epoch, done.step, *([world.rank] if world.rank else []))
        loss = step(pictures, labels, whole, lr, seed)
        if average is not None:
            if recipe.polyak and epoch + (done.step + 1) / len(order) <= (1 - recipe.polyak) * recipe.epochs:
                average.restart()  # not yet: the average is the weights themselves
            average.update()

        is_due = world.first and 0 < 60 * recipe.checkpoint_minutes <= time.monotonic() - kept
        told = [loss, *(loss.new_full((), wish) for wish in (stopping.asked is not None, is_due))]
        unheard.append((done.step, Arriving(world.sum(torch.stack(told)))))
        done.step += 1
        seen += whole
        keeping = recipe.checkpoint_every > 0 and done.step % recipe.checkpoint_every == 0
        asked = False
        while len(unheard) > (0 if keeping or asked else world.late):
            asked_now, due_now = hear()
            asked, keeping = asked or asked_now, keeping or asked_now or due_now
        if keeping:
            keep_place()
            kept = time.monotonic()
        if asked:
            stopping.obey()
        ready = time.monotonic()
        estimate.stepped(epoch, ready - began_step, waiting)
    asked = False
    while unheard:
        asked = hear()[0] or asked
    if asked:
        keep_place()
        stopping.obey()

    row = {"phase": "train", "epoch": epoch + 1, "lr": lr, "train_loss": done.loss / len(split)}
    if seen:  # a run that goes on after the last step of an epoch has no pace yet
        spent = max(time.monotonic() - began, 1e-9)
        row |= {"pictures_per_second": seen / spent, "waiting": waited / spent}
    return row


def _workers(recipe: Recipe, world: Processes, data: Augmented, left: list[list[int]], estimate: Estimate) -> int:
    """Processes that read pictures. Where the recipe leaves it to the machine: on a CPU none, as the network uses every
    core; with a GPU as many as there are cores for this process, up to 16, and when a pace is known, as many of them as
    keep the network fed."""
    if recipe.workers >= 0:
        return recipe.workers
    if world.device.type == "cpu" or not left:
        return 0
    cores = min(MOST_WORKERS, processors())
    if estimate.computing is None:
        return cores
    began = time.monotonic()
    data.__getitems__(left[0])
    return choose_workers(time.monotonic() - began, estimate.computing, cores)


def _not_finite(run: Run, loss: float, epoch: int, step: int) -> str:
    kept = (
        f"the classifier after epoch {epoch} is in {run.folder}"
        if (run.folder / CONFIG).exists()
        else "no epoch was finished"
    )
    return (
        f"The loss became {loss} in epoch {epoch + 1}, step {step + 1}, so the run was stopped; {kept}. "
        f"Start again with a lower rate, such as --set lr={run.recipe.lr / 4:g}."
    )
