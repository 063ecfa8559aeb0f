"""Averages of the weights over the run, which are what is judged and kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from inceptorch.model import Model
from inceptorch.recipes import Recipe


def average_for(model: Model, recipe: Recipe) -> AveragedModel | None:
    """The average that is judged and kept, where the recipe has one."""
    if recipe.polyak:
        return new_average(model, None)
    return new_average(model, recipe.ema) if recipe.ema else None


def new_average(model: Model, decay: float | None) -> AveragedModel:
    """A running average of the weights whose memory grows with the run: min(decay, (1 + n) / (10 + n)) after n steps.
    Without a decay, the equal average of all n + 1 (Polyak)."""

    def update(averages: Any, values: Any, count: Tensor | int) -> None:
        n = int(average.n_averaged)  # `count` is a copy on the device, for which every step would wait
        weight = 1 / (n + 1) if decay is None else 1 - min(decay, (1 + n) / (10 + n))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, weight)
        else:
            torch._foreach_copy_(averages, values)

    average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    return average


def judged(model: Model, average: AveragedModel | None) -> Model:
    """The model that is judged and kept: the average of the weights where there is one."""
    chosen = model if average is None else average.module
    assert isinstance(chosen, Model)
    return chosen
