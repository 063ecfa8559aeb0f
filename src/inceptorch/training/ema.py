"""Averages of the weights over the run, which are what is evaluated and saved."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from inceptorch.training.recipe import Recipe


class WeightAverage(nn.Module):
    """A running average of a model's parameters and buffers. The first update copies the weights; after n updates the
    average keeps min(decay, (1 + n) / (10 + n)) of itself, so that its memory grows with the run. Without a decay, the
    weights of all updates count equally (Polyak).

    torch's `AveragedModel` pairs all tensors anew at every step, which takes longer than averaging them. Here they are
    paired once: neither the model nor the average may be moved to another device afterwards.
    """

    n_averaged: Tensor

    def __init__(self, model: nn.Module, decay: float | None):
        super().__init__()
        self.module = copy.deepcopy(model)
        self.decay = decay
        self.register_buffer("n_averaged", torch.tensor(0))  # on the CPU: a GPU would be waited for
        self._averages, self._values = _floats(self.module), _floats(model)
        self._average_counts, self._counts = _integers(self.module), _integers(model)

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the model's weights as they are now."""
        n = int(self.n_averaged)
        kept = n / (n + 1) if self.decay is None else min(self.decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(self._averages, self._values, 1 - kept if n else 1.0)
        if self._average_counts:
            torch._foreach_copy_(self._average_counts, self._counts)
        self.n_averaged += 1

    def restart(self) -> None:
        """Forget what was averaged: the next update takes the weights themselves."""
        self.n_averaged.zero_()


def weight_average(model: nn.Module, recipe: Recipe) -> WeightAverage | None:
    """The average that the recipe evaluates and saves, if any."""
    if recipe.optimization.average_last_fraction:
        return WeightAverage(model, None)
    return WeightAverage(model, recipe.optimization.ema_decay) if recipe.optimization.ema_decay else None


def _floats(model: nn.Module) -> list[Tensor]:
    return [tensor for tensor in _tensors(model) if tensor.is_floating_point()]


def _integers(model: nn.Module) -> list[Tensor]:
    """How many batches a batch normalization has seen."""
    return [tensor for tensor in _tensors(model) if not tensor.is_floating_point()]


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
