"""Estimates of the remaining time of a run."""

from __future__ import annotations

import time
from typing import Any

from inceptorch.training.recipe import Recipe
from inceptorch.training.schedule import image_size
from inceptorch.utils.progress import format_duration

WARMUP_STEPS = 3  # of a process: slower than all others, so they say nothing about the pace
VALIDATION_COST = 0.5  # of the seconds that an image takes in training, until the first validation has been timed


class ETA:
    """Counts steps and validations. A step's work is the area of its images, whose size may grow in the course of a
    run."""

    def __init__(self, recipe: Recipe, size: int, train_images: int, val_images: int, steps: int):
        self.recipe = recipe
        self.size = size
        self.val_ratio = val_images / train_images
        self.steps = steps
        self.seen = 0
        self.work_done = 0.0
        self.seconds = 0.0
        self.data_wait = 0.0
        self.validation_seconds: float | None = None

    def add_step(self, epoch: int, seconds: float, data_wait: float = 0.0) -> None:
        """Count one step of `epoch` and its seconds, with the wait for its images."""
        self.seen += 1
        if self.seen > WARMUP_STEPS:
            self.work_done += self._work(epoch)
            self.seconds += seconds
            self.data_wait += data_wait

    @property
    def step_seconds(self) -> float | None:
        """Seconds of a step with the wait for its images; None before the first estimate."""
        return self.seconds / (self.seen - WARMUP_STEPS) if self.work_done else None

    @property
    def compute_seconds(self) -> float | None:
        """Seconds of a step without the wait for its images; None before the first estimate."""
        return (self.seconds - self.data_wait) / (self.seen - WARMUP_STEPS) if self.work_done else None

    def remaining(self, epoch: int, step: int) -> float | None:
        """Seconds from this step of this epoch to the end of the run; None before the first estimate."""
        if not self.work_done:
            return None
        pace = self.seconds / self.work_done
        work = self._work(epoch) * (self.steps - step)
        work += self.steps * sum(self._work(later) for later in range(epoch + 1, self.recipe.schedule.epochs))
        validation = self.validation_seconds
        if validation is None:
            validation = VALIDATION_COST * pace * self.steps * self.val_ratio
        return pace * work + validation * (self.recipe.schedule.epochs - epoch)

    def _work(self, epoch: int) -> float:
        return float((image_size(self.recipe, self.size, epoch) / self.size) ** 2)


class EpochTimer:
    """Speed of one epoch, and the fraction of its time spent waiting for images."""

    def __init__(self, eta: ETA, epoch: int):
        self.eta = eta
        self.epoch = epoch
        self.began = self.ready = time.monotonic()
        self.data_wait = self.last_wait = 0.0
        self.images = 0

    def batch_arrived(self) -> None:
        self.last_wait = time.monotonic() - self.ready
        self.data_wait += self.last_wait

    def step_done(self, images: int) -> None:
        began, self.ready = self.ready, time.monotonic()
        self.images += images
        self.eta.add_step(self.epoch, self.ready - began, self.last_wait)

    def describe(self, step: int) -> str:
        """For the line of progress."""
        seconds = self.eta.remaining(self.epoch, step)
        waiting = f"waiting {self.data_wait / (time.monotonic() - self.began):.0%}"
        return waiting if seconds is None else f"{waiting}, run done in {format_duration(seconds)}"

    def columns(self) -> dict[str, Any]:
        """For metrics.csv; a run that resumes after the last step of an epoch has no pace yet."""
        if not self.images:
            return {}
        spent = max(time.monotonic() - self.began, 1e-9)
        return {"images_per_second": self.images / spent, "data_wait_fraction": self.data_wait / spent}
