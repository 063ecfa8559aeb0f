"""Messages of a run: its start, warnings, and how to resume it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inceptorch.classifier.config import CONFIG, read_config
from inceptorch.data.box_split import describe_problems
from inceptorch.data.split import abbreviated, describe_unused_files
from inceptorch.errors import DiskError, ImageError, RunError
from inceptorch.evaluation import Evaluation
from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.training.run import Run, describe_score
from inceptorch.training.schedule import kept_row
from inceptorch.training.step import precision
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.training.trainer import Trainer

MIN_NORM_BATCH = 16  # images, with whose mean and variance batch normalization begins to suffer


def announce(trainer: Trainer) -> None:
    """Log the network, the data and the device, with warnings about both."""
    state, recipe, world, run, say = trainer.state, trainer.recipe, trainer.world, trainer.run, trainer.progress.info
    train, val, classes = trainer.context.train, trainer.context.val, trainer.context.classifier.classes
    if state.finished:  # it may have died before it logged that, or wrote its report
        say(f"{run.folder} is finished: evaluated again; to train longer, start a new run with --weights {run.folder}")
        return
    if state.epoch or state.step or state.head_done:
        begun = f" and {state.step} steps of the next" if state.step else ""
        say(f"resuming after epoch {state.epoch} of {recipe.schedule.epochs}{begun}")
    together = f", {world.count} processes" if world.count > 1 else ""
    say(
        f"{recipe.model.net} by recipe {recipe.name} on {len(train)} images of {len(classes)} classes, validated on "
        f"{len(val)} of {val.name}; {world.device}{together}, {precision(recipe, world.device)}; "
        f"run folder {run.folder}"
    )
    for line in _describe_data(trainer):
        say(f"  {line}")
    without = [name for name, count in val.counts().items() if not count]
    if without:
        say(f"{val.name} has no images of {', '.join(without[:5])}: its scores say nothing about them")
    model = trainer.model
    normalized = isinstance(model, Model) or (isinstance(model, Detector) and not model.frozen_norm)
    batch_size = recipe.optimization.batch_size
    few = batch_size < MIN_NORM_BATCH * world.count
    if world.count > 1 and few and normalized and model.net.norm and not recipe.runtime.sync_bn:
        remedy = "--set sync_bn=true or a larger batch" if world.device.type == "cuda" else "a larger batch"
        each = batch_size // world.count
        say(f"batch normalization sees {each} images in each process; below {MIN_NORM_BATCH}, try {remedy}")


def _describe_data(trainer: Trainer) -> Iterator[str]:
    """The classes with their numbers of images, the files that are not used, and classes that the weights lose."""
    run, splits = trainer.run, (trainer.context.train, trainer.context.val)
    for split in splits:
        yield f"{split.name}: {split.describe()}"
    for line in describe_problems(splits):
        yield f"{line}; see: inceptorch check {shlex.quote(run.data)}"
    unused = describe_unused_files(splits)
    if unused:
        yield f"not used: {unused}; see: inceptorch check {shlex.quote(run.data)}"
    before = None if run.weights is None else read_config(run.weights)
    if before is not None and (before.detection is None) == (trainer.context.classifier.config.detection is None):
        lost = [name for name in before.classes if name not in splits[0].classes]
        if lost:
            of = f"of the {len(before.classes)} classes of {run.weights}"
            yield f"not in this data and forgotten: {len(lost)} {of} ({abbreviated(lost)})"


def warn_of_chance(trainer: Trainer, row: dict[str, Any], evaluation: Evaluation | BoxEvaluation) -> None:
    """Warn if the first epoch's losses are no better than guessing."""
    chance, of_task, loss = trainer.step.chance_loss, trainer.task.chance_loss, row["train_loss"]
    if chance is None or of_task is None or trainer.state.epoch or isinstance(evaluation, BoxEvaluation):
        return
    if loss > 0.99 * chance and evaluation.loss > 0.99 * of_task:
        compared = "worse than" if loss > 1.1 * chance else "no better than"
        trainer.progress.info(
            f"epoch {row['epoch']}: the training loss, {loss:.3f}, is {compared} chance ({chance:.3f}): nothing was "
            "learned yet. If this continues, search for a rate with: inceptorch train DATA --lr-find, or try "
            f"--set lr={trainer.recipe.optimization.lr / 4:g}. Check also that every class folder holds its class."
        )


def not_finite_loss(trainer: Trainer, loss: float, step: int) -> RunError:
    """The error for a loss that is not finite. In the first step of all no weight has moved, so that it is not the
    rate."""
    own = trainer.context.overrides.loss is not None
    if trainer.state.epoch or step:
        return diverged(
            trainer, f"The loss became {loss} at step {step + 1}", " and check the loss given" if own else ""
        )
    if own:
        return RunError(
            f"Cannot train: the loss given returned {loss} at step 1, before any weight moved. Try it on random "
            "logits; logarithms of 0 and divisions by 0 give nan."
        )
    return RunError(
        f"Cannot train: the loss is {loss} at step 1, before any weight moved. Check the weights or the module given."
    )


def diverged(trainer: Trainer, what: str, also: str = "") -> RunError:
    """The error for a loss or outputs that are not finite; `what` became so in the epoch under way."""
    folder, rows, config = trainer.run.folder, trainer.state.rows, trainer.recipe
    saved = "no epoch was finished"
    if rows and (folder / CONFIG).exists():
        row = kept_row(rows, config.schedule)
        saved = f"{folder} holds the classifier after {describe_row(row)}, with {describe_score(row)}"
    return RunError(
        f"{what} in epoch {trainer.state.epoch + 1}, so the run was stopped; {saved}. Start again with a lower rate "
        f"in a new folder, such as --set lr={config.optimization.lr / 4:g} --out {folder}-2{also}."
    )


def describe_row(row: dict[str, Any]) -> str:
    """What a row of metrics is of."""
    return "the linear probe" if row["phase"] == "head" else f"epoch {row['epoch']}"


@contextmanager
def resume_hint_on_error(run: Run, progress: Progress) -> Iterator[None]:
    """Within this context, an error or an interruption also says how to resume the run."""
    command = f"inceptorch train --resume {shlex.quote(str(run.folder))}"
    if run.from_python:
        words = "".join(f", {name}=..." for name in run.from_python)
        command = f"inceptorch.resume({str(run.folder)!r}{words})"
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        progress.info(f"stopped. Resume with: {command}")
        raise
    except ImageError as error:
        raise RunError(
            f"{error} It was readable when training began. Restore the file, then resume with: {command}"
        ) from None
    except DiskError as error:
        raise RunError(f"{error} Fix this, then resume with: {command}") from None
