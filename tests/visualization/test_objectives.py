"""Objectives and their texts."""

from __future__ import annotations

import pytest
import torch

from inceptorch.errors import TableError
from inceptorch.visualization.objectives import (
    Unit,
    channel,
    direction,
    diversity,
    energy,
    gram,
    logit,
    neuron,
    parse_objective,
    peak,
)

MAPS = {
    "4c": torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2),
    "4d": torch.ones(2, 5, 1, 1),
    "logits": torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
}


def test_values_are_those_of_the_maps() -> None:
    assert channel("4c", 1).value(MAPS).tolist() == [5.5, 17.5]
    assert channel("4c", [0, 2]).value(MAPS).tolist() == [1.5, 21.5]  # each image has its own
    assert neuron("4c", 1, x=1, y=0).value(MAPS).tolist() == [5, 17]
    assert neuron("4c", 0).value(MAPS).tolist() == [3, 15]  # the middle
    assert logit(2).value(MAPS).tolist() == [3, 6]
    assert energy("4d").value(MAPS).tolist() == [1, 1]
    assert direction("4c", torch.tensor([1.0, 0, -1])).value(MAPS).tolist() == [-8, -8]
    assert direction("logits", torch.tensor([1.0, 0, -1])).value(MAPS).tolist() == [-2, -2]


def test_a_cosine_counts_what_points_elsewhere_less() -> None:
    maps = {"4c": torch.tensor([[[[3.0]], [[4.0]]]])}
    (plain,) = direction("4c", torch.tensor([1.0, 0])).value(maps)
    (powered,) = direction("4c", torch.tensor([1.0, 0]), 2).value(maps)
    assert float(plain) == 3
    assert float(powered) == pytest.approx(3 * 0.6**2)


def test_equal_images_have_the_least_diversity() -> None:
    torch.manual_seed(0)
    one, other = torch.rand(1, 4, 3, 3), torch.zeros(1, 4, 3, 3)
    other[:, 0] = 1
    equal = diversity("x").value({"x": torch.cat([one, one])})
    unlike = diversity("x").value({"x": torch.cat([one, other])})
    assert equal.tolist() == pytest.approx([-1, -1])
    assert (unlike > equal).all()


def test_a_gram_matrix_does_not_depend_on_the_number_of_places() -> None:
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(gram(x), gram(x.repeat(1, 1, 2, 3)))
    assert float(gram(x)[0, 0, 1]) == pytest.approx(float((x[0, 0] * x[0, 1]).mean()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4c:1", 5.5),
        (" 4c:1@1,0 ", 5),
        ("4c:1 + 0.5*4d:4 - 4c:0", 5.5 + 0.5 - 1.5),
        ("-4c:1", -5.5),
        ("2 * 4c:1-4d:0", 10),
        ("logits:2", 3),
    ],
)
def test_texts_are_read(text: str, expected: float) -> None:
    assert float(parse_objective(text).value(MAPS)[0]) == pytest.approx(expected)


def test_the_layers_of_a_sum_are_those_of_its_terms() -> None:
    assert parse_objective("4c:1 + 0.5*4d:4").layers == {"4c", "4d"}


@pytest.mark.parametrize(
    "text", ["", "4c", "4c:", "4c:x", "4c:1 4d:2", "4c:1 +", "4c:1@3", "1e3*4c:1", "4c:-1", "nan*4c:1"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(TableError, match="Cannot read .*: a term is LAYER:CHANNEL"):
        parse_objective(text)


def test_a_peak_is_the_highest_value_of_a_channel() -> None:
    assert peak("4c", 1).value(MAPS).tolist() == [7, 19]
    assert peak("logits", 2).value(MAPS).tolist() == [3, 6]


def test_units_of_a_sum_are_checked_against_the_shapes() -> None:
    shapes = {"4c": (3, 2, 4), "logits": (3,)}
    total = parse_objective("4c:1@3,1 + 0.5*logits:2 - 4c:0")
    assert total.units == {Unit("4c", 1, 3, 1), Unit("logits", 2), Unit("4c", 0)}
    for unit in total.units:
        unit.check(shapes)
    for unit, message in (
        (Unit("4c", 3), "Cannot see channel 3 of layer 4c: it has 3 channels. Try 0 to 2"),
        (Unit("4c", 0, 4, 0), "Cannot see place 4,0 of layer 4c: its map has 4 columns and 2 lines. Try 0,0 to 3,1"),
        (Unit("logits", 0, 0, 0), "Cannot see a place of layer logits"),
    ):
        with pytest.raises(TableError, match=message):
            unit.check(shapes)
