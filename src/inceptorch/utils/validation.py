"""Values in files, checked by msgspec against the annotations of a dataclass."""

from __future__ import annotations

import reprlib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from inceptorch.errors import InceptorchError, did_you_mean

T = TypeVar("T")
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]  # which nan and infinity are not
Fraction = Annotated[float, Meta(ge=0, le=1)]
PositiveFraction = Annotated[float, Meta(gt=0, le=1)]
PositiveFloat = Annotated[float, Meta(gt=0, le=1e300)]
WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`str`": "text; write it in quotes",
    "`array`": "a list",
    "`object`": "names and values",
}


def build(cls: type[T], values: Mapping[str, Any], what: str, error: type[InceptorchError], *, more: bool = False) -> T:
    """A dataclass from values; with `more`, unknown keys are ignored. Raises `error`."""
    known = {
        field.name: field.default is MISSING and field.default_factory is MISSING
        for field in fields(cls)  # type: ignore[arg-type]
    }
    for name in values:
        if name not in known and not more:
            raise error(f"{what} has no value {name!r}: {did_you_mean(str(name), known)}")
    for name, needed in known.items():
        if needed and name not in values:
            raise error(f"{what} has no {name!r}.")
    return cls(**{name: value for name, value in values.items() if name in known})


def check_fields(record: Any, error: type[InceptorchError], what: str = "") -> None:
    """Convert every field of a new dataclass to its annotated type. Raises `error`."""
    for name, hint in _hints(record.__class__).items():
        value = convert(getattr(record, name), hint, f"{what}{name}", error)
        object.__setattr__(record, name, value)  # it may be frozen


def require(holds: bool, record: Any, name: str, what: str, error: type[InceptorchError]) -> None:
    """Raise `error` where a field does not hold what it must, in the words of `check_fields`."""
    if not holds:
        raise error(f"{name} is {_shown(getattr(record, name))}; it must be {what}.")


def convert(value: Any, hint: Any, what: str, error: type[InceptorchError]) -> Any:
    """`value` as the type `hint`: lists become tuples, and text becomes a number where it is one, as YAML's 1e-3.

    Raises `error` with what was expected: the `description` of the annotation, else msgspec's words."""
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as fault:
        reason, _, where = str(fault).partition(" - at `$")
    expected = next((meta.description for meta in getattr(hint, "__metadata__", ()) if meta.description), None)
    if expected is None:
        where = where.rstrip("`")
        expected = f"at {where}, " * bool(where) + _in_words(reason, hint)
    raise error(f"{what} is {_shown(value)}; it must be {expected}.")


def _shown(value: Any) -> str:
    return reprlib.repr(list(value) if isinstance(value, tuple) else value)  # as it is written


def _in_words(reason: str, hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    reason = reason.partition(", got")[0].removeprefix("Expected ")
    for kind, words in WORDS.items():
        reason = reason.replace(kind, words)
    return "a number of usual size" if reason == "Number out of range" else reason


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)
