"""Arithmetic on the quantities of networks."""

import pytest

from inceptorch.papers.quantities import Nets, filled, value_of
from tests.papers.helpers import TABLES


def test_notes_are_computed_too() -> None:
    remarks = {row.name: row.figures[0].note for row in TABLES["Introductory texts", "Worked examples"].rows}
    assert remarks["the same behind a 1x1 to 24"] == "93.8 % less."
    assert "without them 94.0" in remarks["AlexNet's share of fully connected layers, %"]
    assert "both auxiliary classifiers, 54.4" in remarks["GoogLeNet's share of fully connected layers, %"]


def test_arithmetic_knows_networks_rows_and_nothing_else() -> None:
    nets = Nets()
    assert value_of("googlenet['conv2'].params - 64*64", nets) == 64 + 9 * 64 * 192 + 192
    assert filled("{1 - (9 + 9) / 25:.2f} and {7 * 6}", nets) == "0.28 and 42"
    for expression in ("print(1)", "2 ** 3", "[1]"):
        with pytest.raises(ValueError, match="is not arithmetic"):
            value_of(expression, nets)
