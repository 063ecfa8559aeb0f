"""`train` and `resume`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inceptorch.data.augment import Transform
from inceptorch.data.locator import absolute
from inceptorch.data.verify import report_skipped
from inceptorch.errors import RecipeError, RunError
from inceptorch.runtime.device import torch_threads
from inceptorch.runtime.distributed import DistributedContext, init_distributed
from inceptorch.training.callbacks import Callback
from inceptorch.training.cross_validation import assign_folds
from inceptorch.training.disk_space import check_disk_space
from inceptorch.training.loss import LossFunction
from inceptorch.training.messages import resume_hint_on_error
from inceptorch.training.optimizers import OptimizerFactory
from inceptorch.training.recipe import Recipe
from inceptorch.training.run import read_run
from inceptorch.training.setup import Overrides, TrainingContext, TrainRequest, check_batches, new_run, setup
from inceptorch.training.tensorboard import TensorBoard
from inceptorch.training.trainer import Result, Trainer
from inceptorch.utils.progress import Progress


def train(
    data: Any,
    *,
    out: str | Path | None = None,
    net: str | None = None,
    weights: str | Path | None = None,
    teacher: str | Path | None = None,
    recipe: str | Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    model: str | nn.Module | None = None,
    loss: LossFunction | None = None,
    transform: Transform | None = None,
    optimizer: OptimizerFactory | None = None,
    callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
    size: int | None = None,
) -> Result:
    """Train a classifier and leave it in the run folder `out`. A GPU is used if there is one, and under torchrun all
    processes train together. An interrupted run goes on with `resume`.

    data       a folder or zip of class folders, a list (.csv, .tsv, .jsonl), a folder of shards, torchvision:NAME; or a
               torch Dataset or sequence of (image, label) with `classes`, or two of them, as a tuple or as {"train",
               "val"}. Without a validation split, the recipe's `val_fraction` of every class becomes one
    model      a network's name or a YAML file with a table, as `net`; or any module that gives logits
    weights    a bundle or run to begin from, or published weights by name, whose network and preprocessing are kept
    teacher    a classifier of the same classes, whose probabilities the network learns besides the labels: a bundle or
               run, or published weights by name. `distillation_alpha` and `distillation_temperature` are of the recipe
    recipe     "head" by default with weights, "finetune" with weights and `epochs`; without weights "scratch-small" for
               images of up to 64 pixels, else "scratch". `epochs` and `size` are values of it
    loss       of (logits, targets): one number, or one for each image; cross entropy by default
    transform  of an image (Pillow, RGB): uint8 [size, size, 3]; replaces the recipe's augmentation
    optimizer  of a list of parameters: a torch Optimizer, whose rate the recipe's schedule multiplies
    callbacks  called after steps, validations and at the end

    Raises DataError, TableError, BundleError, RecipeError or RunError, where possible before anything is written.
    """
    began = time.monotonic()
    net, module = _net_or_module(net, model)
    from_python = not isinstance(data, str | Path)
    overrides = Overrides(data if from_python else None, module, loss, transform, optimizer)
    values = {name: value for name, value in (("epochs", epochs), ("size", size)) if value is not None}
    request = TrainRequest(None if from_python else data, out, net, weights, recipe, seed, values, overrides, teacher)
    with init_distributed() as world, ExitStack() as stack:
        begun: list[TrainingContext] = []  # in the main process; the others read what it has written

        def begin() -> Path:
            begun.append(setup(new_run(request, world), overrides, progress or Progress()))
            _check_and_begin(begun[0], world)
            stack.enter_context(begun[0].run.lock())
            return begun[0].run.folder

        folder = world.run_on_main(begin)
        context = begun[0] if begun else setup(read_run(folder), overrides, Progress(quiet=True))
        progress = _logged(context, world, progress)
        report_skipped(context.run.skipped or [], progress.info)
        return _fit(context, world, progress, callbacks, began)


def _check_and_begin(context: TrainingContext, world: DistributedContext) -> None:
    """Begin the run's folder once nothing speaks against training. Raises RecipeError, DataError or DiskError."""
    check_batches(context.run.recipe, len(context.train), world)
    if context.run.recipe.data.folds:
        assign_folds(context)  # what cannot be divided is refused before anything is computed
    check_disk_space(context)
    context.run.begin(context.train, context.val)


def _net_or_module(net: str | None, model: str | nn.Module | None) -> tuple[str | None, nn.Module | None]:
    """The name of a network, and the module that takes its place; `model` is either. Raises RecipeError."""
    if not isinstance(model, str):
        return net, model
    if net is not None:
        raise RecipeError("Cannot take net and model: they name the same. Give net or model, not both.")
    return model, None


def resume(
    folder: str | Path,
    progress: Progress | None = None,
    *,
    data: Any = None,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
    transform: Transform | None = None,
    optimizer: OptimizerFactory | None = None,
    callbacks: Sequence[Callback] = (),
    num_workers: int | None = None,
) -> Result:
    """Resume an interrupted run from its last checkpoint, as if it had never stopped. The number of processes may
    differ, and that of the workers that load images; on a CPU, torch has as many threads as when the run began. Python
    objects that were given to `train` must be given again, and so must `data` that is fetched, such as a URL.

    A run that is finished is evaluated again. Raises RunError if it is not a run or if its data changed meanwhile,
    DataError or BundleError if its images or the weights it began from are gone.
    """
    began, folder = time.monotonic(), Path(folder)
    typed = isinstance(data, str | Path)
    overrides = Overrides(None if typed else data, model, loss, transform, optimizer)
    run = read_run(folder)
    if typed and absolute(data) != run.data:
        raise RunError(f"Cannot resume {folder} with {data}: it began with {run.data}. Start a new run for other data.")
    if num_workers is not None:
        run = replace(run, recipe=run.recipe.replace(num_workers=num_workers))
    with init_distributed() as world, ExitStack() as stack:
        if run.threads and world.count == 1 and world.device.type == "cpu":
            if run.threads != torch.get_num_threads():
                (progress or Progress()).info(
                    f"torch has {run.threads} threads, as when the run began: another number would change bits"
                )
            stack.enter_context(torch_threads(run.threads))
        context = setup(run, overrides, Progress(quiet=True), fetch=typed)

        def lock() -> None:
            stack.enter_context(context.run.lock())
            context.run.clear_leftovers()

        world.run_on_main(lock)
        return _fit(context, world, _logged(context, world, progress), callbacks, began)


def _logged(context: TrainingContext, world: DistributedContext, given: Progress | None) -> Progress:
    """The main process also logs into the run's log.txt; the others are silent."""
    quiet = not world.is_main or (given is not None and given.quiet)
    return Progress(context.run.log if world.is_main else None, quiet)


def _fit(
    context: TrainingContext, world: DistributedContext, progress: Progress, callbacks: Sequence[Callback], began: float
) -> Result:
    with resume_hint_on_error(context.run, progress):
        seconds = time.monotonic() - began
        return Trainer(context, world, progress, [TensorBoard(), *callbacks], seconds).fit()
