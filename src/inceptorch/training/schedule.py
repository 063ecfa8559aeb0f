"""Schedules of the learning rate and of the size of the training images, and which epoch's weights are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from inceptorch.training.recipe import Knots, Recipe, ScheduleConfig

MULTIPLE = 4  # of which image sizes are multiples


def learning_rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """The learning rate of a step of an epoch that has so many."""
    passed = epoch + step / steps
    decays = int(passed / recipe.schedule.lr_step_epochs) if recipe.schedule.lr_step_epochs else 0
    left = 1 - passed / recipe.schedule.epochs
    falling = float(recipe.schedule.lr_gamma**decays * left**recipe.schedule.lr_poly_power)
    return recipe.optimization.lr * interpolate(recipe.schedule.lr_schedule, 1 - left) * falling


def image_size(recipe: Recipe, size: int, epoch: int) -> int:
    """The size in pixels of the training images of an epoch, of a recipe whose full size is `size`."""
    fraction = interpolate(recipe.schedule.size_schedule, epoch / max(1, recipe.schedule.epochs - 1))
    return size if fraction == 1 else min(size, max(MULTIPLE, round(size * fraction / MULTIPLE) * MULTIPLE))


def interpolate(knots: Knots, fraction: float) -> float:
    """The value after this fraction of the run, on straight lines between the knots."""
    fractions, values = zip(*knots, strict=True)
    return float(np.interp(fraction, fractions, values))


def criterion(row: dict[str, Any]) -> float:
    """What a run is to make small on the validation images: the loss, or of boxes what mAP lacks to 1."""
    return 1 - float(row["map50"]) if "map50" in row else float(row["loss"])


def kept_row(rows: list[dict[str, Any]], schedule: ScheduleConfig) -> dict[str, Any]:
    """The row of metrics whose weights a run leaves, which are saved as soon as they are found."""
    head, epochs = ([row for row in rows if row["phase"] == phase] for phase in ("head", "train"))
    ends = head[-1:] + epochs
    if schedule.keeps_best:
        return min(ends, key=criterion)
    if schedule.keep == "auto" and ends[0]["phase"] == "head":
        probe = ends[0]
        return next(row for row in reversed(ends) if row["loss"] <= probe["loss"] or row["top1"] > probe["top1"])
    return ends[-1]


def epochs_since_best(rows: list[dict[str, Any]]) -> int:
    """How many epochs ago the criterion was lowest; 0: in the last one."""
    losses = [criterion(row) for row in rows if row["phase"] == "train"]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0
