"""A network's table as YAML, and as the plain values that a bundle carries as JSON.

A layer is written as its kind with its first value, then what differs from the usual:

    conv1: {conv: 64, kernel: 7, stride: 2}
    mix:
      fork:
        - {conv: 32}
        - [{conv: 16}, {conv: 32, kernel: [1, 3]}]      # in sequence
        - [{pool: max}, {conv: 32}]
    add: {residual: [{conv: 96, relu: false}], scale: 0.2}
    mean: global_average
"""

from __future__ import annotations

import reprlib
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from inceptorch.errors import TableError, did_you_mean, within
from inceptorch.networks.layers import KINDS, BatchNorm, Layer, Layers, changed_values, plain, walk
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.plain import Word, build_checked, check
from inceptorch.utils.files import NotYamlError, os_error_reason, read_yaml

SUFFIXES = (".yaml", ".yml")
MAX_DEPTH = 20  # of layers within layers
MAX_LAYERS = 10_000  # in a table; the largest network here has a few hundred


def to_plain(net: NetworkSpec) -> dict[str, Any]:
    """The table as dictionaries, lists, words and numbers, without what is as usual."""
    return {
        "name": net.name,
        "title": net.title,
        "source": net.source,
        "size": net.size,
        "norm": changed_values(net.norm) if net.norm else None,
        "body": _plain(net.body),
        "head": _plain(net.head),
        **({"aux": list(net.aux), "aux_head": _plain(net.aux_head or {})} if net.aux else {}),
    }


def to_yaml(net: NetworkSpec) -> str:
    """The table as a YAML text that `read_table` reads back as the same network."""
    return yaml.dump(to_plain(net), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)


def read_table(path: str | Path) -> NetworkSpec:
    """The network in a YAML file. Raises TableError naming the file, and the layer where one is wrong."""
    try:
        return from_plain(read_yaml(Path(path)))
    except TableError as error:
        raise TableError(within(path, error)) from None
    except OSError as error:
        raise TableError(f"Cannot read {path}: {os_error_reason(error)}.") from None
    except NotYamlError as error:
        raise TableError(f"{path} {error}.") from None


def from_plain(values: Any) -> NetworkSpec:
    """The network that `to_plain` wrote down. Raises TableError, naming the layer where one is wrong."""
    if not isinstance(values, dict):
        raise TableError("A network is written as values by name: name, size, body, head.")
    known = ("name", "title", "source", "size", "norm", "body", "head", "aux", "aux_head")
    for key in values:
        if key not in known:
            raise TableError(f"A network has no value {key!r}: {did_you_mean(str(key), known)}")
    for key in ("name", "size", "body"):
        if key not in values:
            raise TableError(f"The network has no {key!r}.")
    aux, norm = values.get("aux", []), values.get("norm")
    if not isinstance(aux, list):
        raise TableError(f"aux must be a list of layers, not {reprlib.repr(aux)}.")
    net = NetworkSpec(
        name=check("name", values["name"], Word),
        title=check("title", values.get("title", values["name"]), Word),
        source=check("source", values.get("source", "a table of one's own"), Word),
        size=check("size", values["size"], int),
        body=_layers("body", values["body"]),
        head=_layers("head", values.get("head", {"avgpool": "global_average"})),
        aux=tuple(str(layer) for layer in aux),
        aux_head=_layers("aux_head", values["aux_head"]) if values.get("aux_head") is not None else None,
        norm=None if norm is None else build_checked(BatchNorm, norm, "norm"),
    )
    layers = (layer for part in (net.body, net.head, net.aux_head or {}) for layer in part.values())
    if (count := sum(1 for layer in layers for _ in walk(layer))) > MAX_LAYERS:
        raise TableError(f"The network has {count:,} layers; at most {MAX_LAYERS:,} are built.")
    return net


def _layers(where: str, values: Any) -> Layers:
    if not isinstance(values, dict):
        raise TableError(f"{where} must hold layers by name, not {reprlib.repr(values)}.")
    layers = {}
    for name, value in values.items():
        try:
            layers[str(name)] = _layer(value)
        except TableError as error:
            raise TableError(within(f"{where}, layer {name}", error)) from None
    return layers


def _layer(value: Any, depth: int = 0) -> Layer:
    """One layer, or a sequence of them, from plain values."""
    if depth > MAX_DEPTH:
        raise TableError(f"It holds layers within layers, more than {MAX_DEPTH} deep.")
    read = partial(_layer, depth=depth + 1)
    if isinstance(value, list):
        if not value:
            raise TableError("A sequence of layers is empty.")
        return tuple(map(read, value))
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, dict) or not value:
        raise TableError(f"A layer is written as in {{conv: 64, kernel: 3}}, not {reprlib.repr(value)}.")
    kind = next((name for name in value if name in KINDS), next(iter(value)))
    if kind not in KINDS:
        raise TableError(f"There is no layer {kind!r}: {did_you_mean(str(kind), KINDS)}")
    cls = KINDS[kind]
    given = {name: part for name, part in value.items() if name != kind}
    if not fields(cls) and (given or value[kind] is not None):
        raise TableError(f"{kind} has no values.")
    if value[kind] is not None:
        first = fields(cls)[0].name
        if first in given:
            raise TableError(f"{kind} has its {first} twice.")
        given[first] = value[kind]
    return cls.from_plain(given, read)


def _plain(layers: Layers) -> dict[str, Any]:
    return {name: plain(layer) for name, layer in layers.items()}


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a layer that is like another is written out."""

    def ignore_aliases(self, data: object) -> bool:
        return True
