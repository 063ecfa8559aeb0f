"""The optimiser that a recipe names. What torch has is torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from inceptorch.models.module import Model
from inceptorch.recipes import Recipe


def optimizer_for(model: Model, recipe: Recipe) -> Optimizer:
    """The recipe's optimiser. Weight decay is on weights alone, not on biases and batch normalisation. A group's `share` of
    the rate falls by `layer_decay` for every row between its parameters and the classifier."""
    undecayed = model.no_weight_decay()
    row_of = model.group_matcher()
    rows = len(model.net.body)
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = 0.0 if name in undecayed else recipe.weight_decay
        share = recipe.layer_decay ** (rows - min(row_of(name), rows))
        groups.setdefault((decay, share), []).append(parameter)
    given = [{"params": params, "weight_decay": decay, "share": share} for (decay, share), params in groups.items()]
    if recipe.optimizer == "rmsprop":
        return TensorFlowRMSProp(given, recipe.lr, recipe.rms_decay, recipe.rms_eps, recipe.momentum)
    if recipe.optimizer == "adamw":
        return AdamW(given, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)
    nesterov = recipe.nesterov and recipe.momentum > 0
    return SGD(given, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=True)


class TensorFlowRMSProp(Optimizer):
    """RMSProp as TensorFlow computes it, which the papers used: epsilon inside the root, mean squares that begin at 1, the
    rate inside the momentum. torch's has epsilon outside and begins at 0, so that an epsilon of 1 means another thing.

        mean = decay * mean + (1 - decay) * g * g
        step = momentum * step + rate * g / sqrt(mean + epsilon)
    """

    def __init__(
        self, params: Iterable[dict[str, Any]], lr: float, decay: float = 0.9, eps: float = 1.0, momentum: float = 0.9
    ):
        super().__init__(params, {"lr": lr, "decay": decay, "eps": eps, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            means, steps = ([self._kept(p, name) for p in parameters] for name in ("mean", "step"))
            gradients: list[Tensor] = [p.grad for p in parameters]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
            torch._foreach_mul_(means, group["decay"])
            torch._foreach_addcmul_(means, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_add(means, group["eps"])
            torch._foreach_sqrt_(roots)
            torch._foreach_mul_(steps, group["momentum"])
            torch._foreach_addcdiv_(steps, gradients, roots, group["lr"])
            torch._foreach_sub_(parameters, steps)

    def _kept(self, parameter: Tensor, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.ones_like(parameter) if name == "mean" else torch.zeros_like(parameter)
        kept: Tensor = state[name]
        return kept
