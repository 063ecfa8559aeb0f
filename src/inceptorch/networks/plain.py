"""Dataclasses of the tables' vocabulary from plain values, every one of them checked."""

from __future__ import annotations

import reprlib
import typing
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from inceptorch.errors import TableError
from inceptorch.utils.validation import build, convert

T = TypeVar("T")
Word = Annotated[str, Meta(min_length=1, description="a word; write it in quotes")]
LARGEST = 10**12  # of any number
YAML = (str, int, float, list, dict, type(None))


def build_checked(cls: type[T], values: Any, what: str) -> T:
    """A dataclass of these values, each checked against its type; layers are taken as they are. Raises TableError."""
    if not isinstance(values, dict):
        raise TableError(f"{what} is written as values by name, not {reprlib.repr(values)}.")
    hints = typing.get_type_hints(cls, include_extras=True)
    checked = {
        name: check(f"{what}'s {name}", value, hints[name]) if isinstance(value, YAML) and name in hints else value
        for name, value in values.items()
    }
    return build(cls, checked, what, TableError)


def check(what: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint`. Raises TableError."""
    if isinstance(value, int | float) and not abs(value) < LARGEST:  # nan is not, either
        raise TableError(f"{what} is {reprlib.repr(value)}; it must be a number of usual size.")
    return convert(value, hint, what, TableError)
