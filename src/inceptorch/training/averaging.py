"""Averages of the weights over the run, which are what is judged and kept."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from inceptorch.models.module import Model
from inceptorch.recipes import Recipe


class Average(nn.Module):
    """A running average of a model's parameters and buffers. The first update takes the weights themselves; after n, the
    average keeps min(decay, (1 + n) / (10 + n)) of itself, so that its memory grows with the run. Without a decay it is
    the equal average of all (Polyak).

    torch's `AveragedModel` pairs all tensors anew at every step, which takes longer than averaging them. Here they are
    paired once: neither the model nor the average may be moved to another device afterwards.
    """

    n_averaged: Tensor

    def __init__(self, model: Model, decay: float | None):
        super().__init__()
        self.module = copy.deepcopy(model)
        self.decay = decay
        self.register_buffer("n_averaged", torch.tensor(0))  # on the CPU: a GPU would be waited for
        self._averages, self._values = _numbers(self.module), _numbers(model)
        self._counts, self._counted = _counts(self.module), _counts(model)

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the model's weights as they are now."""
        n = int(self.n_averaged)
        kept = n / (n + 1) if self.decay is None else min(self.decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(self._averages, self._values, 1 - kept if n else 1.0)
        if self._counts:
            torch._foreach_copy_(self._counts, self._counted)
        self.n_averaged += 1

    def restart(self) -> None:
        """Forget what was averaged: the next update takes the weights themselves."""
        self.n_averaged.zero_()


def average_for(model: Model, recipe: Recipe) -> Average | None:
    """The average that is judged and kept, where the recipe has one."""
    if recipe.polyak:
        return Average(model, None)
    return Average(model, recipe.ema) if recipe.ema else None


def judged(model: Model, average: Average | None) -> Model:
    """The model that is judged and kept: the average of the weights where there is one."""
    return model if average is None else average.module


def _numbers(model: Model) -> list[Tensor]:
    return [tensor for tensor in _tensors(model) if tensor.is_floating_point()]


def _counts(model: Model) -> list[Tensor]:
    """How many batches a batch normalisation has seen."""
    return [tensor for tensor in _tensors(model) if not tensor.is_floating_point()]


def _tensors(model: Model) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
