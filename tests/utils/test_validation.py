"""Values that people write are checked, and named where they are wrong."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from inceptorch.errors import RecipeError
from inceptorch.utils.validation import build, check_fields


@dataclass
class Record:
    rate: Annotated[float, Meta(gt=0)]
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)


def test_values_are_converted() -> None:
    record = build(Record, {"rate": "1e-3", "sizes": [1, 2]}, "The file", RecipeError)
    assert (record.rate, record.sizes) == (0.001, (1, 2))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "The file has no 'rate'."),
        ({"rate": 1, "kinds": "a"}, "The file has no value 'kinds': did you mean 'kind'?"),
        ({"rate": "fast"}, "rate is 'fast'; it must be a number."),
        ({"rate": 1, "kind": "c"}, "kind is 'c'; it must be one of a, b."),
        ({"rate": 1, "sizes": [1, "x"]}, r"sizes is \[1, 'x'\]; it must be at .* a whole number."),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        build(Record, values, "The file", RecipeError)
