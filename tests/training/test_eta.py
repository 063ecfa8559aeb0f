"""The estimated time of a run."""

import pytest

from inceptorch.training.eta import ETA
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import format_duration


def test_the_estimate_follows_the_pace_and_the_area(recipe: Recipe) -> None:
    growing = recipe.replace(epochs=3, size_schedule=((0.0, 0.5), (1.0, 1.0)))
    eta = ETA(growing, size=64, train_images=100, val_images=50, steps=10)
    assert eta.remaining(0, 0) is None
    for _ in range(3):
        eta.add_step(0, 100.0)  # a start says nothing
    assert eta.remaining(0, 3) is None
    for _ in range(5):
        eta.add_step(0, 1.0)  # a second for a quarter of the area
    eta.validation_seconds = 7.0
    assert eta.remaining(0, 8) == pytest.approx(2 * 1 + 10 * 2.25 + 10 * 4 + 3 * 7)
    assert eta.remaining(2, 10) == pytest.approx(7)


def test_lengths_of_time_as_people_say_them() -> None:
    assert [format_duration(seconds) for seconds in (3.2, 119, 130, 3000, 9000, 90000)] == [
        "3 s", "119 s", "2.2 min", "50 min", "2.5 h", "25 h"
    ]  # fmt: skip
