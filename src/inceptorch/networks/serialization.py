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
import types
import typing
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from inceptorch.errors import TableError, did_you_mean
from inceptorch.files import NotYamlError, read_yaml, reason
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    BatchNorm,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Layer,
    Layers,
    Linear,
    Pool,
    Residual,
    SeparableConv,
)
from inceptorch.networks.network import NetworkSpec

SUFFIXES = (".yaml", ".yml")
DEEPEST = 20  # layers within layers
LARGEST = 10**12  # of any number
KINDS: dict[str, type] = {
    "conv": Conv,
    "separable_conv": SeparableConv,
    "pool": Pool,
    "lrn": LRN,
    "global_average": GlobalAverage,
    "adaptive_average": AdaptiveAverage,
    "dropout": Dropout,
    "linear": Linear,
    "fork": Fork,
    "residual": Residual,
}
NAMES = {cls: name for name, cls in KINDS.items()}


def to_plain(net: NetworkSpec) -> dict[str, Any]:
    """The table as dictionaries, lists, words and numbers, without what is as usual."""
    return {
        "name": net.name,
        "title": net.title,
        "source": net.source,
        "size": net.size,
        "norm": _plain_values(net.norm) if net.norm else None,
        "body": _plain_rows(net.body),
        "head": _plain_rows(net.head),
        **({"aux": list(net.aux), "aux_head": _plain_rows(net.aux_head or {})} if net.aux else {}),
    }


def to_yaml(net: NetworkSpec) -> str:
    """The table as a YAML text that `read_table` reads back as the same network."""
    return yaml.dump(to_plain(net), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)


def read_table(path: str | Path) -> NetworkSpec:
    """The network in a YAML file. Raises TableError naming the file, and the row where one is wrong."""
    try:
        return from_plain(read_yaml(Path(path)))
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except OSError as error:
        raise TableError(f"{path} could not be read: {reason(error)}.") from None
    except NotYamlError as error:
        raise TableError(f"{path} is not YAML: {error}.") from None


def from_plain(values: Any) -> NetworkSpec:
    """The network that `to_plain` wrote down. Raises TableError, naming the row where one is wrong."""
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
        raise TableError(f"aux must be a list of rows, not {_shown(aux)}.")
    return NetworkSpec(
        name=_checked("name", values["name"], str),
        title=_checked("title", values.get("title", values["name"]), str),
        source=_checked("source", values.get("source", "a table of one's own"), str),
        size=_checked("size", values["size"], int),
        body=_rows("body", values["body"]),
        head=_rows("head", values.get("head", {"avgpool": "global_average"})),
        aux=tuple(str(row) for row in aux),
        aux_head=_rows("aux_head", values["aux_head"]) if values.get("aux_head") is not None else None,
        norm=None if norm is None else BatchNorm(**_values_of(BatchNorm, norm, "norm")),
    )


def _rows(where: str, values: Any) -> Layers:
    if not isinstance(values, dict):
        raise TableError(f"{where} must hold rows by name, not {_shown(values)}.")
    rows = {}
    for name, value in values.items():
        try:
            rows[str(name)] = _layer(value)
        except TableError as error:
            raise TableError(f"{where}, row {name}: {error}") from None
    return rows


def _layer(value: Any, depth: int = 0) -> Layer:
    """One layer, or a sequence of them, from plain values."""
    if depth > DEEPEST:
        raise TableError(f"It holds layers within layers, more than {DEEPEST} deep.")
    if isinstance(value, list):
        if not value:
            raise TableError("A sequence of layers is empty.")
        return tuple(_layer(part, depth + 1) for part in value)
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, dict) or not value:
        raise TableError(f"A layer is written as in {{conv: 64, kernel: 3}}, not {_shown(value)}.")
    kind = next((name for name in value if name in KINDS), next(iter(value)))
    if kind not in KINDS:
        raise TableError(f"There is no layer {kind!r}: {did_you_mean(str(kind), KINDS)}")
    cls, first = KINDS[kind], value[kind]
    if cls is Fork:
        if not isinstance(first, list) or len(value) > 1:
            raise TableError("A fork is written as a list of branches and nothing else.")
        return Fork(*(_layer(branch, depth + 1) for branch in first))
    given = {name: part for name, part in value.items() if name != kind}
    if first is not None:
        name = fields(cls)[0].name if fields(cls) else kind
        if name in given:
            raise TableError(f"{kind} has its {name} twice.")
        given[name] = first
    if cls is Residual:
        given["layer"] = _layer(given.get("layer"), depth + 1)
    layer: Layer = cls(**_values_of(cls, given, kind))
    return layer


def _values_of(cls: type, given: Any, what: str) -> dict[str, Any]:
    """Keyword arguments for a dataclass of the vocabulary, each checked against its type."""
    if not isinstance(given, dict):
        raise TableError(f"{what} is written as values by name, not {_shown(given)}.")
    kinds = typing.get_type_hints(cls)
    for name in given:
        if name not in kinds:
            known = ", ".join(kinds) or "none"
            raise TableError(f"{what} has no value {name!r}; it has: {known}.")
    for part in fields(cls):
        if part.name not in given and part.default is MISSING:
            raise TableError(f"{what} needs a value {part.name!r}.")
    return {
        name: value if name == "layer" else _checked(f"{what}'s {name}", value, kinds[name])
        for name, value in given.items()
    }


def _checked(what: str, value: Any, kind: Any) -> Any:
    """`value` as the type `kind`, or TableError."""
    if kind is bool and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
        if kind is int and isinstance(value, int):
            return value
        if kind is float:
            return float(value)
    if kind is str and isinstance(value, str) and value:
        return value
    if typing.get_origin(kind) is Literal and value in typing.get_args(kind):
        return value
    if isinstance(kind, types.UnionType):  # a window: a side, or height and width
        if isinstance(value, list) and len(value) == 2:
            height, width = (_checked(what, side, int) for side in value)
            return height, width
        return _checked(what, value, int)
    expected = {
        bool: "true or false",
        int: "a whole number" + " or two, [height, width]" * what.endswith("kernel"),
        float: "a number",
        str: "a word; write it in quotes",
    }.get(kind)
    raise TableError(f"{what} is {_shown(value)}; it must be {expected or ' or '.join(typing.get_args(kind))}.")


def _plain_rows(rows: Layers) -> dict[str, Any]:
    return {name: _plain(layer) for name, layer in rows.items()}


def _plain(layer: Layer) -> Any:
    """One layer as plain values."""
    if isinstance(layer, tuple):
        return [_plain(part) for part in layer]
    kind = NAMES[type(layer)]
    if isinstance(layer, Fork):
        return {kind: [_plain(branch) for branch in layer.branches]}
    if not fields(layer):
        return kind
    first, *rest = fields(layer)
    head = _plain(layer.layer) if isinstance(layer, Residual) else getattr(layer, first.name)
    return {kind: head, **_plain_values(layer, rest)}


def _plain_values(layer: Any, parts: typing.Sequence[Field[Any]] | None = None) -> dict[str, Any]:
    """The values of a dataclass that are not as usual."""
    values = {
        part.name: (getattr(layer, part.name), part.default) for part in (fields(layer) if parts is None else parts)
    }
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, default) in values.items()
        if value != default
    }


def _shown(value: Any) -> str:
    return reprlib.repr(value)


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a row that is like another is written out."""

    def ignore_aliases(self, data: object) -> bool:
        return True
