"""One training from beginning to end: the pictures, the network, the classifier alone, the whole network, the bundle."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inceptorch.classifier.classifier import Classifier
from inceptorch.data.sampler import steps_in
from inceptorch.data.verify import report_skipped
from inceptorch.errors import DiskError, ImageError, RecipeError, RunError
from inceptorch.evaluation import Evaluation, judgement
from inceptorch.inference.forward import outputs_of
from inceptorch.recipes import Recipe
from inceptorch.runtime.distributed import Processes, processes
from inceptorch.training import head
from inceptorch.training.averaging import average_for, judged
from inceptorch.training.checkpoint import Progressed, restore, save
from inceptorch.training.epoch import train_epoch
from inceptorch.training.estimate import Estimate
from inceptorch.training.events import write_events
from inceptorch.training.memory import remedy_for_memory
from inceptorch.training.memory_kept import memory_kept
from inceptorch.training.objective import class_weights
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.run import Run, in_words
from inceptorch.training.space import check_space
from inceptorch.training.step import Step, only_deterministic, precision
from inceptorch.training.stopping import Stopping
from inceptorch.training.work import Work, prepared, reopened
from inceptorch.utils.progress import Progress

FEW = 16  # pictures, with whose mean and variance batch normalisation begins to suffer


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, epochs of the whole network (steps of the fit where only the classifier was
    trained), fractions right on the held-out pictures, seconds of work, and the evaluation behind the figures. `first`
    is whether this process is the one that speaks of it, `step_seconds` its pace where it trained long enough to have one."""

    run: Path
    epochs: int
    top1: float
    top5: float
    seconds: float
    evaluation: Evaluation
    first: bool = True
    step_seconds: float | None = None


def train(
    data: str | Path,
    *,
    out: str | Path | None = None,
    net: str | None = None,
    weights: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Train a classifier on DATA and leave it in the run folder `out`. DATA is a folder or zip of class folders, a list
    (.csv, .jsonl), a folder of shards, or torchvision:NAME.

    `weights` is a bundle or run to begin from, or the name of published weights; their network and pixel contract are
    kept. `net` is a name or a YAML file with a table. `recipe` is "head" by default
    with weights and "scratch" without. Where DATA has no val or test folder, a share of every class is held out. A GPU
    is used if there is one, and under torchrun all processes train together. An interrupted run goes on with `resume`.

    Raises DataError, TableError, BundleError, RecipeError or RunError, before anything is written where it can; a
    folder in use is never written into.
    """
    began = time.monotonic()
    work: Work | None = None

    def prepare() -> Path:
        nonlocal work
        work = prepared(data, out, net, weights, recipe, seed, world, progress or Progress())
        _check_parts(work.run.recipe, len(work.train), world)
        check_space(work)
        work.run.begin(work.train, work.held_out)
        held.enter_context(work.run.held())
        return work.run.folder

    with processes() as world, ExitStack() as held:
        folder = world.from_first(prepare)
        work = work or reopened(folder)
        progress = _progress(work, world, progress)
        report_skipped(work.run.skipped, progress.say)
        with _how_to_go_on(work.run, progress):
            return finish(work, world, Progressed(seconds=time.monotonic() - began), progress)


def resume(folder: str | Path, progress: Progress | None = None) -> Result:
    """Go on with an interrupted run from its last checkpoint, as if it had never stopped; the number of processes may
    differ from before.

    A run that is finished is judged again. Raises RunError if it is not a run or if its data changed meanwhile, DataError
    or BundleError if its pictures or the weights it began from are gone.
    """
    began = time.monotonic()
    with processes() as world, ExitStack() as held:
        work = reopened(Path(folder))

        def take() -> None:
            held.enter_context(work.run.held())
            work.run.clear_leftovers()

        world.from_first(take)
        progress = _progress(work, world, progress)
        with _how_to_go_on(work.run, progress):
            return finish(work, world, Progressed(seconds=time.monotonic() - began), progress)


def _progress(work: Work, world: Processes, given: Progress | None) -> Progress:
    """What the first process says also goes into the run's log; the others are silent."""
    quiet = not world.first or (given is not None and given.quiet)
    return Progress(work.run.log if world.first else None, quiet)


@contextmanager
def _how_to_go_on(run: Run, progress: Progress) -> Iterator[None]:
    """While this lasts, what ends a run before its time says how to go on with it."""
    again = f"inceptorch train --resume {shlex.quote(str(run.folder))}"
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        progress.say(f"stopped. Go on with: {again}")
        raise
    except ImageError as error:
        raise RunError(f"{error} It could be read when training began. Put it back, and go on with: {again}") from None
    except DiskError as error:
        raise RunError(f"{error} Mend that, and go on with: {again}") from None


def finish(work: Work, world: Processes, done: Progressed, progress: Progress) -> Result:
    """The run from wherever it stands to its end."""
    with only_deterministic(work.run.recipe.deterministic), remedy_for_memory(work.run.recipe), memory_kept():
        return _finish(work, world, done, progress)


def _finish(work: Work, world: Processes, done: Progressed, progress: Progress) -> Result:
    run, classifier, train_split, held_out = work.run, work.classifier, work.train, work.held_out
    recipe, model = run.recipe, classifier.model
    began = time.monotonic() - done.seconds

    # The order matters: the average copies the model, and a checkpoint fills all three.
    model.to(world.device)
    if recipe.sync_bn and world.count > 1:
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    average = average_for(model, recipe) if recipe.epochs else None
    optimizer = optimizer_for(model, recipe)
    if run.checkpoint.exists():
        done = restore(run.checkpoint, model, average, optimizer)
        began = time.monotonic() - done.seconds
        begun = f" and {done.step} steps of the next" if done.step else ""
        if not done.finished:
            progress.say(f"going on after epoch {done.epoch} of {recipe.epochs}{begun}")
    kept = replace(classifier, model=judged(model, average))
    if done.finished:  # it may have died before it could say so, or draw
        progress.say(
            f"{run.folder} is finished: judged again; to train longer, start a new run with --weights {run.folder}"
        )
        with Stopping(patient=world.count > 1) as stopping:
            evaluation = _judge(kept, work, world, stopping, progress)
        return Result(
            run.folder, done.rows[-1]["epoch"], evaluation.top1, evaluation.top5, done.seconds, evaluation, world.first
        )
    _check_parts(recipe, len(train_split), world)
    together = f", {world.count} processes" if world.count > 1 else ""
    progress.say(
        f"{model.net.name} on {len(train_split)} pictures of {len(classifier.classes)} classes, judged on "
        f"{len(held_out)} of {held_out.name}; {world.device}{together}, {precision(recipe, world.device)}; run folder {run.folder}"
    )

    without = [name for name, count in held_out.counts().items() if not count]
    if without:
        progress.say(f"{held_out.name} has no pictures of {', '.join(without[:5])}: its figures say nothing of them")
    if world.count > 1 and not recipe.sync_bn and recipe.batch < FEW * world.count and model.net.norm:
        remedy = "--set sync_bn=true or a larger batch" if world.device.type == "cuda" else "a larger batch"
        progress.say(
            f"batch normalisation sees {recipe.batch // world.count} images in each process; below {FEW}, try {remedy}"
        )

    def record(row: dict[str, Any], evaluation: Evaluation) -> None:
        measured = {"loss": evaluation.loss, "top1": evaluation.top1, "top5": evaluation.top5}
        row |= measured | {"seconds": time.monotonic() - began}
        done.rows.append(row)
        done.seconds = row["seconds"]
        if world.first:
            run.write_metrics(done.rows)
        progress.say(in_words(row))

    def keep() -> None:
        """The bundle, then the checkpoint: a run can be used, and can go on, from every epoch's end."""
        if world.first:
            kept.about = run.about(train_split, held_out, done.rows[-1]) | {"unknown": evaluation.threshold}
            kept.write(run.folder)
            save(run.checkpoint, done, model, average, optimizer)

    def keep_place() -> None:
        """The checkpoint alone, within an epoch."""
        done.seconds = time.monotonic() - began
        if world.first:
            save(run.checkpoint, done, model, average, optimizer)

    # The classifier alone, on features of the frozen body.
    if recipe.head_steps and not done.head_done:
        for row, evaluation in fit_head(work, world, progress):
            record(row, evaluation)
        world.copy_first(model)
        if average is not None:
            average = average_for(model, recipe)
            kept.model = judged(model, average)
        done.head_done = True
        done.finished = recipe.epochs == 0
        keep()
    if world.first:
        run.features.unlink(missing_ok=True)

    # The whole network.
    if recipe.epochs:
        step = Step(classifier, optimizer, recipe, class_weights(train_split, recipe), world)
        steps = steps_in(len(train_split), recipe.batch)
        estimate = Estimate(recipe, classifier.pixels.size, len(train_split), len(held_out), steps)
    with Stopping(patient=world.count > 1) as stopping:
        while not done.finished:
            row = train_epoch(work, step, average, done, keep_place, estimate, stopping, progress)
            if world.count > 1:
                keep_place()  # several processes cannot break off their judging together
            last = done.epoch + 1 == recipe.epochs
            judging = time.monotonic()
            try:
                world.copy_first(kept.model)
                evaluation = _judge(kept, work, world, stopping, progress, bf16=step.bf16 and not last)
                if not last and _waited_enough([*done.rows, {**row, "loss": evaluation.loss}], recipe.patience):
                    progress.say(f"the held-out loss has not fallen for {recipe.patience} epochs: the run ends here")
                    last = True
                    if step.bf16:
                        evaluation = _judge(kept, work, world, stopping, progress)
            except (KeyboardInterrupt, SystemExit, ImageError):
                keep_place()
                raise
            estimate.judged(time.monotonic() - judging)
            record(row, evaluation)
            chance = math.log(len(classifier.classes))
            if not done.epoch and row["train_loss"] > 0.99 * step.of_chance and evaluation.loss > 0.99 * chance:
                progress.say(_learned_nothing(run, row, step.of_chance))
            done.epoch, done.step, done.loss = done.epoch + 1, 0, 0.0
            done.finished = last
            keep()
            if world.first:
                write_events(run.folder / "events", row, progress)
            if not done.finished:
                stopping.obey_if_asked()

    seconds = time.monotonic() - began
    pace = estimate.step_seconds if recipe.epochs else None
    return Result(
        run.folder, done.rows[-1]["epoch"], evaluation.top1, evaluation.top5, seconds, evaluation, world.first, pace
    )


def fit_head(work: Work, world: Processes, progress: Progress) -> Iterator[tuple[dict[str, Any], Evaluation]]:
    """Fit the classifier's linear layer, putting it in place step by step; yields a row of metrics each time."""
    classifier, held_out = work.classifier, work.held_out
    linear = classifier.model.get_classifier()
    recipe = work.run.recipe
    bf16 = recipe.epochs > 0 and precision(recipe, world.device) == "bf16"
    features = head.features_of(classifier, work.train, held_out, work.run.features, world, bf16, progress)
    labels = torch.tensor(work.train.labels, dtype=torch.int64)
    for fit in head.fit(features.train, labels, len(classifier.classes), recipe):
        if not math.isfinite(fit.loss):
            raise RunError(
                f"The loss of the classifier is {fit.loss} after {fit.steps} steps: check the weights given."
            )
        with torch.no_grad():
            linear.weight.copy_(fit.weight)
            linear.bias.copy_(fit.bias)
        logits = (features.held_out @ fit.weight.T + fit.bias).numpy()
        row = {"phase": "head", "epoch": fit.steps, "train_loss": fit.loss}
        yield row, judgement(logits, classifier.classes, held_out, work.run.skipped, classifier.pixels.describe())


def _judge(
    kept: Classifier, work: Work, world: Processes, stopping: Stopping, progress: Progress, bf16: bool = False
) -> Evaluation:
    """Judge the classifier on the held-out pictures, each process its share. `bf16` is for a look on the way. Breaks off
    where that is asked for."""
    model, split = kept.model, work.held_out

    def forward(x: Tensor) -> Tensor:
        stopping.obey_if_asked()
        with torch.autocast(world.device.type, torch.bfloat16, enabled=bf16):
            out: Tensor = model(x)
        return out

    mine = split.keep(world.share_or_stand_in(range(len(split))))
    logits = world.gather(outputs_of(kept, mine, progress, "judging", forward), len(split)).numpy()
    return judgement(logits, kept.classes, split, work.run.skipped, kept.pixels.describe())


def _check_parts(recipe: Recipe, pictures: int, world: Processes) -> None:
    """Raise where a process would get fewer than two pictures of some step: batch normalisation cannot take one. Raise for
    `sync_bn` on CPUs, for which torch has none."""
    if recipe.sync_bn and world.count > 1 and world.device.type != "cuda":
        raise RecipeError(
            "Cannot synchronize batch normalization on CPUs: sync_bn needs CUDA. Try --set sync_bn=false."
        )
    smallest = pictures // steps_in(pictures, recipe.batch)
    if recipe.epochs and smallest < 2 * world.count:
        enough = 2 * world.count * -(-recipe.batch // smallest)
        raise RunError(
            f"{pictures} pictures in batches of {recipe.batch} leave a step with {smallest}, too few for {world.count} "
            f"processes; give each two or more: --set batch={enough}, or fewer processes."
        )


def _waited_enough(rows: list[dict[str, Any]], patience: int) -> bool:
    """Whether the held-out loss has not fallen for `patience` epochs."""
    losses = [row["loss"] for row in rows if row["phase"] == "train"]
    return 0 < patience <= len(losses) - 1 - losses.index(min(losses))


def _learned_nothing(run: Run, row: dict[str, Any], of_chance: float) -> str:
    loss = row["train_loss"]
    compared = "worse than that" if loss > 1.1 * of_chance else "that"
    return (
        f"epoch {row['epoch']}: the training loss, {loss:.3f}, is {compared} of chance ({of_chance:.3f}): nothing was "
        "learned yet. If it stays so, look for a rate with: inceptorch train DATA --lr-find, or try "
        f"--set lr={run.recipe.lr / 4:g}; and look whether the class folders hold what they are called."
    )
