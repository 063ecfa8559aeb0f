"""The names that other libraries give the layers of our networks, from layer_names.yaml."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml
from torch import nn

from inceptorch.models.module import Model


@dataclass(frozen=True)
class LayerNames:
    """How one library names one network; the fields are those of layer_names.yaml."""

    library: str
    nets: tuple[str, ...]
    layers: Mapping[str, tuple[str, ...]]
    conv: str = ".conv"
    norm: str = ".bn"


def tensor_names(model: Model, names: LayerNames) -> dict[str, str]:
    """Ours -> theirs, for every tensor of `model`."""
    renamed = dict(_renamed_modules(model, names))
    return {
        tensor: f"{renamed[module]}.{suffix}"
        for tensor in model.state_dict()
        for module, _, suffix in [tensor.rpartition(".")]
    }


def _renamed_modules(model: Model, names: LayerNames) -> Iterator[tuple[str, str]]:
    prefixes = {name: f"body.{name}" for name in model.net.body} | {"head": "head"}
    prefixes |= {f"aux.{name}": f"aux.{name}" for name in model.aux}
    for layer, prefix in prefixes.items():
        theirs = iter(names.layers.get(layer, ()))
        for name, module in model.get_submodule(prefix).named_modules(prefix=prefix):
            if isinstance(module, nn.Conv2d):
                current = next(theirs)
                normalized = hasattr(model.get_submodule(name.rpartition(".")[0]), "bn")
                yield name, current + names.conv if normalized else current
            elif isinstance(module, nn.Linear):
                yield name, next(theirs)
            elif isinstance(module, nn.BatchNorm2d):
                yield name, current + names.norm


def _layers(ours: str, names: str, prefix: str = "", first: int | None = None) -> dict[str, tuple[str, ...]]:
    """Each of our layers with the names behind the prefix."""
    return {
        layer: tuple(prefix.format(layer if first is None else number) + name for name in names.split())
        for number, layer in enumerate(ours.split(), first or 0)
    }


def _read(values: dict[str, Any]) -> LayerNames:
    groups = [_layers(ours, *theirs) for ours, theirs in values.pop("layers").items()]
    return LayerNames(nets=tuple(values.pop("nets")), layers=dict(ChainMap(*reversed(groups))), **values)


NAMES = {
    name: _read(values)
    for name, values in yaml.safe_load(
        resources.files(__package__).joinpath("layer_names.yaml").read_text(encoding="utf-8")
    ).items()
}
