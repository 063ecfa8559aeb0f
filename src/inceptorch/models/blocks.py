"""The modules from which the layers of a table are built. Convolutions, linear layers and batch normalization are
torch's own classes: quantizers, counters and tracers go by the exact type."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from inceptorch.networks.layers import FLATTEN, BatchNorm, Layers, Shape, as_layer


class ResidualSum(nn.Module):
    """The input plus a multiple of what `layer` makes of it, then perhaps ReLU."""

    def __init__(self, layer: nn.Module, scale: float, relu: bool):
        super().__init__()
        self.layer = layer
        self.scale = scale
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(torch.add(x, self.layer(x), alpha=self.scale))
        return out


class Concat(nn.ModuleList):
    """Modules in parallel on the same input; their channels are concatenated."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([each(x.flatten(1) if type(each) is nn.Linear else x) for each in self], dim=1)


def sequential(layers: Layers, shape: Shape, norm: BatchNorm | None) -> nn.Sequential:
    """Named layers in sequence, for an input of `shape`. What comes into a bare linear layer is flattened by a module
    of its own."""
    modules: dict[str, nn.Module] = {}
    for name, layer in layers.items():
        module = as_layer(layer).module(shape, norm)
        if type(module) is nn.Linear:
            modules[FLATTEN + name] = nn.Flatten(1)
        modules[name] = module
        shape = as_layer(layer).output_shape(shape)
    return named(modules)


def activated(layers: Mapping[str, nn.Module], out: int, norm: BatchNorm | None, relu: bool) -> nn.Sequential:
    """Layers that give `out` channels, with batch normalization and ReLU behind them."""
    modules = dict(layers)
    if norm is not None:
        modules["bn"] = nn.BatchNorm2d(out, norm.eps, norm.momentum)
    if relu:
        modules["relu"] = nn.ReLU(inplace=True)
    return named(modules)


class _Conv2d(nn.Conv2d):
    def reset_parameters(self) -> None: ...


class _Linear(nn.Linear):
    def reset_parameters(self) -> None: ...


# Weights are left as memory holds them, as the model draws all of them once, in parallel. `torch.nn.utils.skip_init`
# does so by way of the meta device and takes three times as long. The class becomes torch's own, by which tools go.
def conv2d(*args: Any, **kwargs: Any) -> nn.Conv2d:
    conv: nn.Conv2d = _Conv2d(*args, **kwargs)
    conv.__class__ = nn.Conv2d
    return conv


def fully_connected(in_features: int, out_features: int, relu: bool) -> nn.Module:
    """A linear layer; with `relu`, between flattening and ReLU."""
    linear: nn.Linear = _Linear(in_features, out_features)
    linear.__class__ = nn.Linear
    return named({"flatten": nn.Flatten(1), "linear": linear, "relu": nn.ReLU(inplace=True)}) if relu else linear


def layer_order(names: Iterable[str]) -> Callable[[str], float]:
    """The place of a parameter's layer among these layers of the body, by its name in the state dict; infinite for the
    head."""
    places = {name: float(place) for place, name in enumerate(names)}

    def order(parameter: str) -> float:
        where, _, rest = parameter.partition(".")
        return places[rest.partition(".")[0]] if where == "body" else math.inf

    return order


def named(modules: Mapping[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))
