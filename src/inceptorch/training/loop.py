"""One training from beginning to end: the pictures, the network, the classifier alone, the whole network, the bundle."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from inceptorch import nets
from inceptorch.bundle import CONFIG, Classifier, copy_weights, load
from inceptorch.data import Split, find_train_and_held_out, fingerprint, without_unreadable
from inceptorch.data.loader import Augmented, key
from inceptorch.data.loader import load as load_batches
from inceptorch.data.order import batches
from inceptorch.data.verify import report_skipped
from inceptorch.errors import RecipeError, RunError
from inceptorch.evaluation import Evaluation, judge, judgement
from inceptorch.files import refuse_if_used
from inceptorch.model import Model, best_device
from inceptorch.pixels import contract
from inceptorch.progress import Progress
from inceptorch.recipes import Recipe, find_recipe
from inceptorch.scale import Scale
from inceptorch.spec import Net, with_dropout
from inceptorch.training import head
from inceptorch.training.checkpoint import Progressed, new_average, restore, save
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.run import Run, free_folder, in_words, read_run
from inceptorch.training.stopping import Stopping
from inceptorch.zoo import folder_of


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, epochs of the whole network (steps of the fit where only the classifier was
    trained), fractions right on the held-out pictures, seconds of work, and the evaluation behind the figures."""

    run: Path
    epochs: int
    top1: float
    top5: float
    seconds: float
    evaluation: Evaluation


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
    """Train a classifier on DATA, a folder or zip of class folders, and leave it in the run folder `out`.

    `weights` is a bundle or run to begin from, or the name of published weights; their network and pixel contract are
    kept. `net` is a name or a YAML file with a table. `recipe` is "head" by default
    with weights and "scratch" without. Where DATA has no val or test folder, a share of every class is held out. A GPU
    is used if there is one. An interrupted run goes on with `resume`.

    Raises DataError, TableError, BundleError, RecipeError or RunError, before anything is written where it can; a
    folder in use is never written into.
    """
    began = time.monotonic()
    progress = progress or Progress()
    data = Path(data).absolute()
    given = folder_of(weights) if weights else None
    if not 0 <= seed < 2**63:
        raise RecipeError(f"The seed is {seed}; it must be a whole number from 0 to {2**63 - 1}.")
    if recipe is None:
        recipe = "head" if weights else "scratch"
    recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
    if recipe.head_steps and not weights:
        raise RecipeError(f"Recipe {recipe.name!r} trains a classifier on given weights; name them with --weights.")
    folder = Path(out) if out else free_folder(data)
    refuse_if_used(folder)
    if folder.absolute().is_relative_to(data):
        raise RunError(f"{folder} lies inside the pictures in {data}, which are never written to; name another --out.")

    train_split, held_out = find_train_and_held_out(data, recipe.held_out_share, seed)
    whole = fingerprint(train_split, held_out)
    start = _begin(recipe, nets.net(net) if net else None, given, train_split.classes, seed)
    train_split, skipped = without_unreadable(train_split, progress)
    held_out, skipped_held_out = without_unreadable(held_out, progress)
    skipped += skipped_held_out

    recipe = replace(recipe, net=start.model.net.name)
    run = Run(folder, data, given, recipe, start.model.net, seed, whole, skipped)
    run.begin(train_split, held_out)
    progress = Progress(run.log, progress.quiet)
    report_skipped(skipped, progress.say)
    return _finish(run, start, train_split, held_out, Progressed(seconds=time.monotonic() - began), progress)


def resume(folder: str | Path, progress: Progress | None = None) -> Result:
    """Go on with an interrupted run from its last checkpoint, as if it had never stopped.

    Raises RunError if it is finished, if it is not a run, or if its data changed meanwhile, DataError or BundleError if
    its pictures or the weights it began from are gone.
    """
    began = time.monotonic()
    run = read_run(Path(folder))
    run.clear_leftovers()
    progress = Progress(run.log, (progress or Progress()).quiet)
    splits = find_train_and_held_out(run.data, run.recipe.held_out_share, run.seed)
    if fingerprint(*splits) != run.fingerprint:
        raise RunError(f"{run.data} is not what it was when {folder} began; start a new run with inceptorch train.")
    left_out = {one["file"] for one in run.skipped}
    train_split, held_out = (
        split.keep([i for i in range(len(split)) if split.file(i) not in left_out]) for split in splits
    )
    start = _begin(run.recipe, run.net, run.weights, train_split.classes, run.seed)
    return _finish(run, start, train_split, held_out, Progressed(seconds=time.monotonic() - began), progress)


def _begin(recipe: Recipe, net: Net | None, weights: Path | None, classes: tuple[str, ...], seed: int) -> Classifier:
    """The classifier a run begins from: the network for these classes, with fresh or given weights. Pictures of a size
    that is too small for it are refused here, before the first batch."""
    given = load(weights) if weights else None
    if given and net and net.name != given.model.net.name:
        raise RecipeError(f"{weights} holds the network {given.model.net.name!r}, not {net.name!r}; leave out --net.")
    table = net or (given.model.net if given else nets.net(recipe.net))
    aux = bool(table.aux) and recipe.aux_weight > 0 and recipe.epochs > 0
    pixels = given.pixels if given else contract(recipe.size or table.size, recipe.channels)
    if recipe.size and recipe.size != pixels.size:
        pixels = replace(pixels, size=recipe.size, resize=round(recipe.size * pixels.resize / pixels.size))
    if recipe.dropout >= 0:
        table = with_dropout(table, recipe.dropout)
    torch.manual_seed(seed)
    model = Model(table, len(classes), pixels.in_chans, aux=aux, size=pixels.size)
    if given:
        copy_weights(given.model, model)
    return Classifier(model.to(memory_format=torch.channels_last), pixels, list(classes))


def _finish(
    run: Run, classifier: Classifier, train_split: Split, held_out: Split, done: Progressed, progress: Progress
) -> Result:
    """The run from wherever it stands to its end."""
    recipe, model = run.recipe, classifier.model
    began = time.monotonic() - done.seconds

    # The order matters: the average copies the model, and a checkpoint fills all three.
    device = best_device()
    model.to(device)
    average = _new_average(model, recipe) if recipe.epochs else None
    optimizer = optimizer_for(model, recipe)
    if run.checkpoint.exists():
        done = restore(run.checkpoint, model, average, optimizer)
        began = time.monotonic() - done.seconds
        if done.finished:
            raise RunError(f"{run.folder} is finished; to train longer, start a new run with --weights {run.folder}.")
        steps = f" and {done.step} steps of the next" if done.step else ""
        progress.say(f"going on after epoch {done.epoch} of {recipe.epochs}{steps}")
    kept = replace(classifier, model=_judged(model, average))
    progress.say(
        f"{model.net.name} on {len(train_split)} pictures of {len(classifier.classes)} classes, judged on "
        f"{len(held_out)} of {held_out.name}; {device}, {_precision(recipe, device)}; run folder {run.folder}"
    )

    def record(row: dict[str, Any], evaluation: Evaluation) -> None:
        judged = {"loss": evaluation.loss, "top1": evaluation.top1, "top5": evaluation.top5}
        row |= judged | {"seconds": time.monotonic() - began}
        done.rows.append(row)
        done.seconds = row["seconds"]
        run.write_metrics(done.rows)
        progress.say(in_words(row))

    def keep() -> None:
        """The bundle, then the checkpoint: a run can be used, and can go on, from every epoch's end."""
        kept.about = run.about(train_split, held_out, done.rows[-1])
        kept.write(run.folder)
        save(run.checkpoint, done, model, average, optimizer)

    def keep_place() -> None:
        """The checkpoint alone, within an epoch."""
        done.seconds = time.monotonic() - began
        save(run.checkpoint, done, model, average, optimizer)

    try:
        # The classifier alone, on features of the frozen body.
        if recipe.head_steps and not done.head_done:
            for row, evaluation in _fit_head(run, classifier, train_split, held_out, progress):
                record(row, evaluation)
            if average is not None:
                average = _new_average(model, recipe)
                kept.model = _judged(model, average)
            done.head_done = True
            done.finished = recipe.epochs == 0
            keep()

        # The whole network.
        for epoch in range(done.epoch, recipe.epochs):
            row = _train_epoch(run, classifier, train_split, average, optimizer, done, keep_place, device, progress)
            try:
                evaluation = judge(kept, held_out, run.skipped, progress)
            except KeyboardInterrupt:
                keep_place()
                raise
            record(row, evaluation)
            done.epoch, done.step, done.loss = epoch + 1, 0, 0.0
            done.finished = done.epoch == recipe.epochs
            keep()
    except (KeyboardInterrupt, SystemExit):
        progress.say(f"stopped. Go on with: inceptorch train --resume {shlex.quote(str(run.folder))}")
        raise
    except torch.OutOfMemoryError:
        smaller = max(2, recipe.batch // 2)
        raise RunError(f"The GPU's memory is too small for this; start again with --set batch={smaller}.") from None
    run.features.unlink(missing_ok=True)
    seconds = time.monotonic() - began
    return Result(run.folder, done.rows[-1]["epoch"], evaluation.top1, evaluation.top5, seconds, evaluation)


def _judged(model: Model, average: AveragedModel | None) -> Model:
    """The model that is judged and kept: the running average of the weights where the recipe has one."""
    judged = model if average is None else average.module
    assert isinstance(judged, Model)
    return judged


def _fit_head(
    run: Run, classifier: Classifier, train_split: Split, held_out: Split, progress: Progress
) -> Iterator[tuple[dict[str, Any], Evaluation]]:
    """Fit the classifier's linear layer, putting it in place step by step; yields a row of metrics each time."""
    linear = classifier.model.get_classifier()
    features = head.features_of(classifier, train_split, held_out, run.features, progress)
    labels = torch.tensor(train_split.labels, dtype=torch.int64)
    for fit in head.fit(features.train, labels, len(classifier.classes), run.recipe):
        if not math.isfinite(fit.loss):
            raise RunError(
                f"The loss of the classifier is {fit.loss} after {fit.steps} steps: check the weights given."
            )
        with torch.no_grad():
            linear.weight.copy_(fit.weight)
            linear.bias.copy_(fit.bias)
        logits = (features.held_out @ fit.weight.T + fit.bias).numpy()
        row = {"phase": "head", "epoch": fit.steps, "train_loss": fit.loss}
        yield row, judgement(logits, classifier.classes, held_out, run.skipped, classifier.pixels.describe())


def _train_epoch(
    run: Run,
    classifier: Classifier,
    split: Split,
    average: AveragedModel | None,
    optimizer: torch.optim.Optimizer,
    done: Progressed,
    keep_place: Callable[[], None],
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """One pass over the training pictures, or what is left of it, with checkpoints on the way; the row of metrics it
    gives. Ctrl-C and SIGTERM are obeyed between two steps, after a checkpoint."""
    recipe, model, epoch = run.recipe, classifier.model, done.epoch
    scale = Scale(classifier.pixels).to(device)
    aux = [f"aux.{name}" for name in model.aux]
    bf16 = _precision(recipe, device) == "bf16"

    data = Augmented(split, classifier.pixels, recipe, run.seed)
    data.epoch = epoch
    order = [batch.tolist() for batch in batches(split, recipe.batch, run.seed, epoch)]
    left = order[done.step :]
    loader = load_batches(data, left, _workers(recipe, device))

    model.train()
    lr = _rate(recipe, epoch, done.step, len(order))
    began = kept = ready = time.monotonic()
    waited, seen = 0.0, 0
    with Stopping() as stopping:
        for pictures, labels, _ in progress.track(loader, len(left), f"epoch {epoch + 1}"):
            waited += time.monotonic() - ready
            lr = _rate(recipe, epoch, done.step, len(order))
            for group in optimizer.param_groups:
                group["lr"] = lr
            seed_step(key(run.seed, epoch, done.step))  # dropout's draws depend on the step, not on what ran before

            labels = labels.to(device, torch.int64, non_blocking=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits, taps = model.taps(scale(pictures.to(device, non_blocking=True)), aux)
                loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
                for name in aux:
                    loss = loss + recipe.aux_weight * F.cross_entropy(
                        taps[name], labels, label_smoothing=recipe.label_smoothing
                    )
            value = float(loss.detach())
            if not math.isfinite(value):
                raise RunError(_not_finite(run, value, epoch, done.step))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            if average is not None:
                if recipe.polyak and epoch + (done.step + 1) / len(order) <= (1 - recipe.polyak) * recipe.epochs:
                    average.n_averaged.zero_()  # not yet: the average is the weights themselves
                average.update_parameters(model)

            done.step += 1
            done.loss += value * len(labels)
            seen += len(labels)
            by_steps = recipe.checkpoint_every > 0 and done.step % recipe.checkpoint_every == 0
            by_time = 0 < 60 * recipe.checkpoint_minutes <= time.monotonic() - kept
            if by_steps or by_time or stopping.asked:
                keep_place()
                kept = time.monotonic()
            if stopping.asked:
                stopping.obey()
            ready = time.monotonic()

    spent = time.monotonic() - began
    return {
        "phase": "train",
        "epoch": epoch + 1,
        "lr": lr,
        "train_loss": done.loss / len(split),
        "pictures_per_second": seen / spent,
        "waiting": waited / spent,
    }


def _rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """The learning rate of a step of an epoch that has so many."""
    passed = epoch + step / steps
    decays = int(passed / recipe.decay_epochs) if recipe.decay_epochs else 0
    left = 1 - passed / recipe.epochs
    falling = float(recipe.decay_factor**decays * left**recipe.decay_power)
    return recipe.lr * _factor(recipe, 1 - left) * falling


def seed_step(seed: int) -> None:
    """Seed what the network draws from, on the CPU and on GPUs."""
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which can keep a stack trace of every call
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def _new_average(model: Model, recipe: Recipe) -> AveragedModel | None:
    """The average that is judged and kept, where the recipe has one."""
    if recipe.polyak:
        return new_average(model, None)
    return new_average(model, recipe.ema) if recipe.ema else None


def _factor(recipe: Recipe, share: float) -> float:
    """The schedule's factor on the learning rate after `share` of the run."""
    at, factors = zip(*recipe.schedule, strict=True)
    return float(np.interp(share, at, factors))


def _precision(recipe: Recipe, device: torch.device) -> str:
    """bf16 or fp32. `auto` takes bf16 only where the processor computes in it, not where it is emulated."""
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "fp32"
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"


def _workers(recipe: Recipe, device: torch.device) -> int:
    if recipe.workers >= 0:
        return recipe.workers
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


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
