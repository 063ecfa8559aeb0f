"""Dataclasses of the tables' vocabulary as plain values, and back with every value checked."""

from __future__ import annotations

import reprlib
import types
import typing
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, Literal

from inceptorch.errors import TableError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LARGEST = 10**12  # of any number


def values_of(cls: type[DataclassInstance], given: Any, what: str, without: str = "") -> dict[str, Any]:
    """Keyword arguments for a dataclass of the vocabulary, each checked against its type; `without` is left out."""
    if not isinstance(given, dict):
        raise TableError(f"{what} is written as values by name, not {shown(given)}.")
    hints = typing.get_type_hints(cls)
    kinds = {part.name: hints[part.name] for part in fields(cls)}
    for name in given:
        if name not in kinds:
            known = ", ".join(kinds) or "none"
            raise TableError(f"{what} has no value {name!r}; it has: {known}.")
    for part in fields(cls):
        if part.name not in given and part.default is MISSING and part.name != without:
            raise TableError(f"{what} needs a value {part.name!r}.")
    return {name: checked(f"{what}'s {name}", value, kinds[name]) for name, value in given.items() if name != without}


def checked(what: str, value: Any, kind: Any) -> Any:
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
            height, width = (checked(what, side, int) for side in value)
            return height, width
        return checked(what, value, int)
    expected = {
        bool: "true or false",
        int: "a whole number" + " or two, [height, width]" * what.endswith("kernel"),
        float: "a number",
        str: "a word; write it in quotes",
    }.get(kind)
    raise TableError(f"{what} is {shown(value)}; it must be {expected or ' or '.join(typing.get_args(kind))}.")


def plain_values(layer: Any, parts: typing.Sequence[Field[Any]] | None = None) -> dict[str, Any]:
    """The values of a dataclass that are not as usual."""
    values = {
        part.name: (getattr(layer, part.name), part.default) for part in (fields(layer) if parts is None else parts)
    }
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, default) in values.items()
        if value != default
    }


def shown(value: Any) -> str:
    return reprlib.repr(value)
