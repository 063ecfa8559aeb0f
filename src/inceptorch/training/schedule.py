"""What changes in the course of a run: the learning rate, and the side of the training squares."""

from __future__ import annotations

import numpy as np

from inceptorch.recipes import Knots, Recipe

SIDES = 4  # sides are multiples of it


def rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """The learning rate of a step of an epoch that has so many."""
    passed = epoch + step / steps
    decays = int(passed / recipe.decay_epochs) if recipe.decay_epochs else 0
    left = 1 - passed / recipe.epochs
    falling = float(recipe.decay_factor**decays * left**recipe.decay_power)
    return recipe.lr * at(recipe.schedule, 1 - left) * falling


def side(recipe: Recipe, size: int, epoch: int) -> int:
    """The side in pixels of the training squares of an epoch, of a recipe whose whole size is `size`."""
    share = at(recipe.growth, epoch / max(1, recipe.epochs - 1))
    return size if share == 1 else min(size, max(SIDES, round(size * share / SIDES) * SIDES))


def at(knots: Knots, share: float) -> float:
    """The value after `share` of the run, on straight lines between the knots."""
    shares, values = zip(*knots, strict=True)
    return float(np.interp(share, shares, values))
