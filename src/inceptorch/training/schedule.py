"""Schedules of the learning rate and of the size of the training images."""

from __future__ import annotations

import numpy as np

from inceptorch.training.recipe import Knots, Recipe

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
