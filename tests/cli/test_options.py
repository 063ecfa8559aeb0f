"""Options that several verbs share."""

import pytest

from tests.helpers import invoke


@pytest.mark.parametrize("verb", ["eval", "predict", "serve"])
def test_engines_are_chosen_by_the_same_options(verb: str) -> None:
    text = invoke(verb, "--help").stdout
    assert "--engine" in text
    assert "--precision" in text
