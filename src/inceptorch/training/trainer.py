"""One training, top to bottom: the linear probe, epochs of steps, checkpoints, validation, callbacks."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import WEIGHTS
from inceptorch.data.augment import AugmentedDataset, Batch, TrainingDataset, decode_all, derive_seed
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.loader import explain_dead_workers, load_batches, num_workers
from inceptorch.data.sampler import epoch_batches, steps_per_epoch
from inceptorch.errors import DiskError, ImageError, NonFiniteOutputError
from inceptorch.evaluation import Evaluation, evaluate_split
from inceptorch.evaluation.boxes import BoxEvaluation, evaluate_box_split
from inceptorch.models.module import Model
from inceptorch.models.weights import read_safetensors
from inceptorch.runtime.distributed import AsyncScalars, DistributedContext
from inceptorch.training.callbacks import Callback
from inceptorch.training.checkpoint import Checkpointer, TrainState
from inceptorch.training.cross_validation import CrossValidation, cross_validate, read_cross_validation
from inceptorch.training.ema import WeightAverage, weight_average
from inceptorch.training.eta import ETA, EpochTimer
from inceptorch.training.linear_probe import compute_features, fit_linear_probe, keep_statistics
from inceptorch.training.malloc import keep_freed_memory
from inceptorch.training.map_cache import MapCache, cache_maps, clear_maps, evaluate_maps
from inceptorch.training.memory import translate_oom
from inceptorch.training.messages import announce, describe_row, diverged, not_finite_loss, warn_of_chance
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.run import format_metrics
from inceptorch.training.schedule import epochs_since_best, image_size, kept_row, learning_rate
from inceptorch.training.setup import TrainingContext
from inceptorch.training.signals import GracefulShutdown
from inceptorch.training.step import TrainStep, deterministic_mode
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.training.extend import Extension


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, epochs of the whole network (steps of the linear probe where there are none),
    seconds of work, the evaluation on the validation images with its main scores, and the classifier or detector.
    `step_seconds` is None for a run of a few steps. `kept_epoch` is the epoch whose weights were kept for their
    validation loss, 0 for the linear probe; None where they are the last epoch's. `cross_validation` is there with
    `folds`, `extension` for a run that `extend` has made."""

    run: Path
    epochs: int
    seconds: float
    evaluation: Evaluation | BoxEvaluation | None
    scores: dict[str, float]  # top1 and top5, or map50
    classifier: Classifier
    is_main_process: bool = True
    step_seconds: float | None = None
    kept_epoch: int | None = None
    cross_validation: CrossValidation | None = None
    extension: Extension | None = None

    @property
    def top1(self) -> float:
        return self._score("top1")

    @property
    def top5(self) -> float:
        return self._score("top5")

    def _score(self, name: str) -> float:
        if name not in self.scores:
            raise AttributeError(f"There is no {name} of a detector, which has scores: {', '.join(self.scores)}.")
        return self.scores[name]


class Trainer:
    """Trains a new or interrupted run to its end with `fit`."""

    def __init__(
        self,
        context: TrainingContext,
        world: DistributedContext,
        progress: Progress,
        callbacks: Sequence[Callback] = (),
        seconds: float = 0.0,
    ):
        self.context, self.run, self.task = context, context.run, context.task
        self.recipe = context.run.recipe
        self.world, self.progress = world, progress
        self.callbacks = callbacks if world.is_main else ()
        self.state = TrainState(seconds=seconds)
        self.shutdown = GracefulShutdown(patient=world.count > 1)
        self.pending: deque[tuple[int, AsyncScalars]] = deque()  # steps whose loss is on its way from the device

        # The order matters: the average copies the model, and a checkpoint fills all three.
        self.model: nn.Module = context.classifier.model
        self.model.to(world.device)
        if self.recipe.runtime.sync_bn and world.count > 1:
            torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.model)  # type: ignore[no-untyped-call]
        self.average = weight_average(self.model, self.recipe) if self.recipe.schedule.epochs else None
        self.optimizer = build_optimizer(self.model, self.recipe, context.overrides.optimizer)
        self.checkpointer = Checkpointer(self.run.checkpoint, self.model, self.average, self.optimizer)
        train, val, size = len(context.train), len(context.val), context.classifier.preprocessing.size
        self.steps = steps_per_epoch(train, self.recipe.optimization.batch_size)
        resumed = world.run_on_main(self.checkpointer.exists)
        if resumed:
            self.state = self.checkpointer.restore(self.recipe.schedule.epochs, self.steps, progress.info)
        self.began = time.monotonic() - self.state.seconds
        # What is evaluated and saved: the average of the weights, where there is one.
        self.evaluated = replace(
            context.classifier, model=cast(Model, self.average.module if self.average else self.model)
        )
        if context.overrides.model is not None and not resumed and world.is_main:
            self.save_checkpoint()  # nobody else could make its first weights again
        self.maps: MapCache | None = None
        self.images: Tensor | None = None  # the training images, where they are kept in memory
        self.eta = ETA(self.recipe, size, train, val, self.steps)

    def fit(self) -> Result:
        """Train to the end; a finished run is evaluated again."""
        state, recipe = self.state, self.recipe
        evaluation: Evaluation | BoxEvaluation | None = None
        with ExitStack() as stack:
            stack.enter_context(deterministic_mode(recipe.runtime.deterministic))
            stack.enter_context(translate_oom(recipe))
            stack.enter_context(explain_dead_workers())
            stack.enter_context(keep_freed_memory())
            announce(self)
            if recipe.optimization.linear_probe_steps and not state.head_done:
                evaluation = self.fit_linear_probe()
            if recipe.schedule.epochs and not state.finished:
                power = recipe.optimization.class_weight_power
                class_weights = self.task.class_weights(self.context.train, power)
                args = (self.context.classifier, self.optimizer, recipe, self.task, class_weights, self.world)
                self.step = TrainStep(*args, self.context.overrides.loss, self.context.teacher)
            if not state.finished:
                self.maps = cache_maps(self.context, self.world, self.progress)
                self.images = self.read_images()
            stack.enter_context(self.shutdown)
            while not state.finished:
                row = self.train_epoch()
                evaluation, last = self.validate(row)
                self.record(row, evaluation)
                warn_of_chance(self, row, evaluation)
                state.epoch, state.step, state.loss, state.finished = state.epoch + 1, 0, 0.0, last
                self.save_epoch(evaluation)
                for callback in self.callbacks:
                    callback.on_validation(self, row, evaluation)
                if not last:
                    self.shutdown.raise_if_requested()
            return self.finish(evaluation)

    def train_epoch(self) -> dict[str, Any]:
        """Train for the rest of an epoch. Returns its row of metrics."""
        state, recipe, world, epoch = self.state, self.recipe, self.world, self.state.epoch
        every, last_fraction = recipe.runtime.checkpoint_every, recipe.optimization.average_last_fraction
        order = epoch_batches(
            self.context.train, recipe.optimization.batch_size, self.run.seed, epoch, recipe.data.shuffle
        )
        self.batch_sizes = [len(batch) for batch in order]
        timer = EpochTimer(self.eta, epoch)
        lr = learning_rate(recipe, epoch, max(0, state.step - 1), self.steps)
        left = [list(world.shard(batch.tolist())) for batch in order[state.step :]]
        loaded = self.progress.track(
            self.load(left, epoch),
            len(self.context.train),
            f"epoch {epoch + 1}, images",
            lambda: timer.describe(state.step),
            done=sum(self.batch_sizes[: state.step]),
            size=lambda batch: self.batch_sizes[state.step - 1],
        )
        for images, targets, _ in loaded:
            timer.batch_arrived()
            lr = learning_rate(recipe, epoch, state.step, self.steps)
            seed = derive_seed(self.run.seed, epoch, state.step, *([world.rank] if world.rank else []))
            loss = self.step(images, targets, self.batch_sizes[state.step], lr, seed)
            if self.average is not None:
                done = epoch + (state.step + 1) / self.steps
                if last_fraction and done <= (1 - last_fraction) * recipe.schedule.epochs:
                    self.average.restart()  # not yet: the average is the weights themselves
                self.average.update()
            self.send_loss(loss)
            state.step += 1
            self.resolve_steps(every > 0 and state.step % every == 0, world.sync_lag)
            timer.step_done(self.batch_sizes[state.step - 1])
        self.resolve_steps(save=False, lag=0)
        train_loss = state.loss / len(self.context.train)
        return {"phase": "train", "epoch": epoch + 1, "lr": lr, "train_loss": train_loss} | timer.columns()

    def dataset(self) -> TrainingDataset:
        """The training images, augmented."""
        context, recipe = self.context, self.recipe
        pixels, transform = context.classifier.preprocessing, context.overrides.transform
        data = self.task.dataset(context.train, pixels, recipe.augmentation, self.run.seed, transform)
        if isinstance(data, AugmentedDataset):
            data.memory = self.images
        return data

    def read_images(self) -> Tensor | None:
        """The training images decoded, where they may stay in memory. Before it fails for an image that is gone, a
        checkpoint is saved."""
        data = self.dataset()
        if self.maps is not None or not isinstance(data, AugmentedDataset) or not data.can_be_in_memory:
            return None
        try:
            return decode_all(data.split, data.pixels, self.progress)
        except ImageError:
            if self.world.count == 1:
                self.save_checkpoint()
            raise

    def load(self, left: list[list[int]], epoch: int) -> Iterator[Batch]:
        """The batches that are left of an epoch. Before it fails for an image that is gone or for a worker, a
        checkpoint is saved."""
        data = self.dataset() if self.maps is None else self.maps.train
        data.epoch = epoch
        data.size = image_size(self.recipe, self.context.classifier.preprocessing.size, epoch)
        try:
            workers = 0  # a batch from memory takes less time than its way from another process
            if self.images is None:
                wanted = self.recipe.runtime.num_workers
                workers = num_workers(wanted, self.world.device, data, left, self.eta.compute_seconds)
            yield from load_batches(data, left, workers, self.stop_if_requested)
        except (ImageError, DiskError):
            while self.pending:
                self.resolve_step()
            if self.world.count == 1:  # else others may be in the middle of a step
                self.save_checkpoint()
            raise

    def stop_if_requested(self) -> None:
        """Stop now after a signal, between two steps, with a checkpoint."""
        if self.shutdown.requested_signal and not self.shutdown.patient:
            self.resolve_steps(save=True, lag=0)
            self.shutdown.stop()

    def send_loss(self, loss: Tensor) -> None:
        """Sum a step's loss, requests to stop, and due checkpoints over the processes."""
        due = self.world.is_main and 0 < self.recipe.runtime.checkpoint_minutes <= self.checkpointer.minutes_since()
        flags = (loss.new_full((), flag) for flag in (self.shutdown.requested_signal is not None, due))
        self.pending.append((self.state.step, AsyncScalars(self.world.sum(torch.stack([loss, *flags])))))

    def resolve_steps(self, save: bool, lag: int) -> None:
        """Read the losses of all but the last `lag` steps; save a checkpoint and stop where requested."""
        stop = False
        while len(self.pending) > (0 if save or stop else lag):
            stopped, due = self.resolve_step()
            stop, save = stop or stopped, save or stopped or due
        if save:
            self.save_checkpoint()
        if stop:
            self.shutdown.stop()

    def resolve_step(self) -> tuple[bool, bool]:
        """Add the loss of the oldest pending step. Returns whether to stop, and whether a checkpoint is due."""
        step, scalars = self.pending.popleft()
        loss, stop, due = scalars.read()
        if not math.isfinite(loss):
            raise not_finite_loss(self, loss, step)
        self.state.loss += loss * self.batch_sizes[step]
        for callback in self.callbacks:
            callback.on_step(self, loss)
        return stop > 0, due > 0

    def validate(self, row: dict[str, Any]) -> tuple[Evaluation | BoxEvaluation, bool]:
        """The evaluation of an epoch, and whether it is the last one."""
        if self.world.count > 1:
            self.save_checkpoint()  # several processes cannot break off their evaluation together
        last, began = self.state.epoch + 1 == self.recipe.schedule.epochs, time.monotonic()
        bf16 = self.step.bf16 and not last and not self.recipe.schedule.keeps_best
        try:
            self.world.broadcast_from_main(self.evaluated.model)
            if self.maps is not None and not last:
                evaluation: Evaluation | BoxEvaluation = evaluate_maps(self, self.maps.val)
            else:
                evaluation = self.evaluate(bf16)
            rows = [*self.state.rows, row | self.task.metrics(evaluation)]
            if not last and 0 < self.recipe.schedule.patience <= epochs_since_best(rows):
                self.progress.info(
                    f"the validation loss has not fallen for {self.recipe.schedule.patience} epochs: the run ends here"
                )
                last = True
                evaluation = self.evaluate() if bf16 or self.maps is not None else evaluation
        except NonFiniteOutputError:
            raise diverged(self, "The network's outputs became infinite or nan") from None
        except (KeyboardInterrupt, SystemExit, ImageError):
            self.save_checkpoint()
            raise
        self.eta.validation_seconds = time.monotonic() - began
        return evaluation, last

    def evaluate(self, bf16: bool = False) -> Evaluation | BoxEvaluation:
        """Evaluate on the validation images, divided among the processes. A request to stop interrupts it."""
        val, skipped = self.context.val, self.run.skipped or []
        where = (self.world, self.progress)
        precision, interrupt = "bf16" if bf16 else "fp32", self.shutdown.raise_if_requested
        if isinstance(val, BoxSplit):
            return evaluate_box_split(self.evaluated, val, skipped, *where, precision=precision, interrupt=interrupt)
        return evaluate_split(self.evaluated, val, skipped, *where, precision=precision, interrupt=interrupt)

    def fit_linear_probe(self) -> Evaluation:
        """The classifier alone, on features of the frozen body."""
        features = compute_features(self.context, self.world, self.progress)
        for row, evaluation in fit_linear_probe(self.context, features, self.world, self.progress):
            self.record(row, evaluation)
        if self.recipe.data.folds:
            self.world.run_on_main(lambda: cross_validate(self.context, features, self.progress))
        self.world.broadcast_from_main(self.model)
        if self.average is not None:  # of the weights as they are now
            self.average = self.checkpointer.average = WeightAverage(self.model, self.average.decay)
            self.evaluated.model = cast(Model, self.average.module)
        self.state.head_done, self.state.finished = True, self.recipe.schedule.epochs == 0
        if self.state.finished and self.world.is_main:  # else the body will change
            keep_statistics(self.context, features, self.evaluated)
        self.save_epoch(evaluation)
        if self.world.is_main:
            self.run.features.unlink(missing_ok=True)
        return evaluation

    def record(self, row: dict[str, Any], evaluation: Evaluation | BoxEvaluation) -> None:
        """Add a row to metrics.csv and log it."""
        row |= self.task.metrics(evaluation) | {"seconds": time.monotonic() - self.began}
        self.state.rows.append(row)
        if self.world.is_main:
            self.run.write_metrics(self.state.rows)
        self.progress.info(format_metrics(row))

    def save_epoch(self, evaluation: Evaluation | BoxEvaluation) -> None:
        """The bundle, then the checkpoint: a run can be used, and can resume, from every epoch's end."""
        if self.world.is_main and kept_row(self.state.rows, self.recipe.schedule) is self.state.rows[-1]:
            self.save_bundle(evaluation, self.state.rows[-1])
        self.save_checkpoint()

    def save_bundle(self, evaluation: Evaluation | BoxEvaluation, row: dict[str, Any]) -> None:
        metadata = self.run.metadata(self.context.train, self.context.val, row)
        if isinstance(evaluation, BoxEvaluation):
            metadata = replace(metadata, score_threshold=round(evaluation.threshold, 4))
        else:
            distance = self.evaluated.config.metadata.distance
            metadata = replace(metadata, threshold=evaluation.threshold, distance=distance)
        self.evaluated.config = replace(self.evaluated.config, metadata=metadata)
        self.evaluated.write(self.run.folder)

    def save_checkpoint(self) -> None:
        self.state.seconds = time.monotonic() - self.began
        if self.world.is_main:
            self.checkpointer.save(self.state)

    def finish(self, evaluation: Evaluation | BoxEvaluation | None) -> Result:
        """The result, with the weights that the recipe keeps."""
        state, kept_epoch = self.state, None
        seconds = state.seconds if evaluation is None else time.monotonic() - self.began
        kept, best = kept_row(state.rows, self.recipe.schedule), self.recipe.schedule.keeps_best
        if best or kept is not state.rows[-1]:
            kept_epoch = 0 if kept["phase"] == "head" else kept["epoch"]
            why = "whose validation loss is the lowest" if best else "as the last epoch is worse than the linear probe"
            self.progress.info(f"kept the weights of {describe_row(kept)}, {why}")
        if kept is not state.rows[-1]:
            self.evaluated.model.load_state_dict(read_safetensors(self.run.folder / WEIGHTS), strict=False)
            evaluation = None
        if evaluation is None:
            evaluation = self.evaluate()
            if self.maps is not None and self.world.is_main:  # an epoch's own scores are of maps in half precision
                self.save_bundle(evaluation, kept | self.task.metrics(evaluation))
        result = Result(
            run=self.run.folder,
            epochs=state.rows[-1]["epoch"],
            seconds=seconds,
            evaluation=evaluation,
            scores={name: value for name, value in self.task.metrics(evaluation).items() if name != "loss"},
            classifier=self.evaluated,
            is_main_process=self.world.is_main,
            step_seconds=self.eta.step_seconds,
            kept_epoch=kept_epoch,
            cross_validation=read_cross_validation(self.run.folds),
        )
        if self.world.is_main:
            clear_maps(self.run.checkpoint.parent)
        for callback in self.callbacks:
            callback.on_end(self, result)
        return result
