"""The estimated time of a run."""

import pytest

from inceptorch.training.eta import ETA, EpochTimer
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
    validation = 0.5 * (50 / 100) * 10 * 4  # half the time of training on so many images of the whole size
    assert eta.remaining(0, 8) == pytest.approx(2 * 1 + 10 * 2.25 + 10 * 4 + 3 * validation)
    eta.validation_seconds = 7.0
    assert eta.remaining(0, 8) == pytest.approx(2 * 1 + 10 * 2.25 + 10 * 4 + 3 * 7)
    assert eta.remaining(2, 10) == pytest.approx(7)


def test_lengths_of_time_as_people_say_them() -> None:
    assert [format_duration(seconds) for seconds in (3.2, 119, 130, 3000, 9000, 90000)] == [
        "3 s", "119 s", "2.2 min", "50 min", "2.5 h", "25 h"
    ]  # fmt: skip


def test_an_epoch_without_a_step_has_no_columns(recipe: Recipe) -> None:
    timer = EpochTimer(ETA(recipe, size=64, train_images=100, val_images=50, steps=10), 0)
    assert timer.columns() == {}
    timer.began -= 10
    timer.ready -= 10
    timer.batch_arrived()
    for images in (32, 8):
        timer.step_done(images)
    assert timer.columns() == {"images_per_second": pytest.approx(4, 0.1), "data_wait_fraction": pytest.approx(1, 0.1)}
