"""The optimizer that a recipe names. What torch has is torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.training.recipe import Recipe

OptimizerFactory = Callable[[list[nn.Parameter]], Optimizer]


def build_optimizer(model: nn.Module, recipe: Recipe, factory: OptimizerFactory | None = None) -> Optimizer:
    """The recipe's optimizer, or the one that `factory` makes of the parameters to train.

    A group's rate is `lr_scale` times that of the schedule. In a recipe's optimizer it falls by `layer_decay` for every
    layer between the parameters and the classifier; weight decay is on weights alone, not on biases and normalization.
    """
    config = recipe.optimization
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if factory is not None:
        optimizer = factory([parameter for _, parameter in parameters])
        for group in optimizer.param_groups:
            group["lr_scale"] = group["lr"] / config.lr
        return optimizer
    if config.optimizer == "muon":
        return Muon(_muon_groups(parameters, recipe), config.lr, config.momentum)
    order, layers = (model.group_matcher(), len(model.net.body)) if isinstance(model, Model | Detector) else (None, 0)
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in parameters:
        decay = 0.0 if parameter.ndim == 1 else config.weight_decay
        lr_scale = config.layer_decay ** (layers - min(order(name), layers)) if order else 1.0
        groups.setdefault((decay, lr_scale), []).append(parameter)
    given = [{"params": params, "weight_decay": decay, "lr_scale": scale} for (decay, scale), params in groups.items()]
    if config.optimizer == "rmsprop":
        return TensorFlowRMSProp(given, config.lr, config.rms_decay, config.rms_eps, config.momentum)
    if config.optimizer == "adamw":
        return AdamW(given, lr=config.lr, betas=(config.momentum, 0.999), fused=True)
    nesterov = config.nesterov and config.momentum > 0
    return SGD(given, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=True)


def _muon_groups(parameters: list[tuple[str, nn.Parameter]], recipe: Recipe) -> list[dict[str, Any]]:
    """Filters, which Muon moves, and biases and classifiers with rates of their own, none of them with weight decay.
    Normalization's scales stay 1: what they could do, the shifts and the classifier do."""
    config = recipe.optimization
    classifiers = {name.rpartition(".")[0] for name, parameter in parameters if parameter.ndim == 2}
    filters = [parameter for _, parameter in parameters if parameter.ndim > 2]
    matrices = [parameter for name, parameter in parameters if name.rpartition(".")[0] in classifiers]
    biases = [
        parameter
        for name, parameter in parameters
        if name.endswith("bias") and name.rpartition(".")[0] not in classifiers
    ]
    kinds = ((filters, config.lr), (biases, config.bias_lr), (matrices, config.classifier_lr))
    return [
        {"params": params, "lr_scale": lr / config.lr, "orthogonal": params is filters}
        for params, lr in kinds
        if params
    ]


class Muon(Optimizer):
    """Muon (Keller Jordan and others, 2024) for filters; SGD with Nesterov's momentum for groups without `orthogonal`.

    A bank of filters [out, in, h, w] counts as a matrix [out, in * h * w]. It is first scaled to the length sqrt(out),
    so that a rate is a fraction of the weights; then it moves by the momentum's nearest matrix with orthogonal rows,
    which Newton-Schulz iterations find in bfloat16. torch's own Muon takes matrices alone and keeps no length.
    """

    SGD_MOMENTUM = 0.85

    def __init__(self, params: Iterable[dict[str, Any]], lr: float, momentum: float = 0.6):
        super().__init__(params, {"lr": lr, "momentum": momentum, "orthogonal": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            momentum = group["momentum"] if group["orthogonal"] else self.SGD_MOMENTUM
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                kept = state["momentum_buffer"]
                kept.mul_(momentum).add_(parameter.grad)
                update = parameter.grad.add(kept, alpha=momentum)
                if group["orthogonal"]:
                    parameter.mul_(len(parameter) ** 0.5 / parameter.norm().clamp(min=1e-12))
                    update = orthogonalize(update.flatten(1)).view_as(update)
                parameter.sub_(update, alpha=group["lr"])


def orthogonalize(matrix: Tensor) -> Tensor:
    """A matrix near the nearest one whose singular values are all 1: they come between 0.7 and 1.2, or stay near 0.

    Three of Muon's quintic iterations, whose coefficients rise steepest at 0 rather than settle at 1.
    """
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    found: Tensor = x.T if tall else x
    return found.to(matrix.dtype)


class TensorFlowRMSProp(Optimizer):
    """RMSProp as TensorFlow, which the papers used, computes it: epsilon inside the root, mean squares that begin at 1,
    the rate inside the momentum. torch's has epsilon outside and begins at 0, so an epsilon of 1 differs.

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
