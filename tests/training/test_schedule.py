"""Learning rates and image sizes over a run."""

import pytest

from inceptorch.training.recipe import RECIPES, Recipe
from inceptorch.training.schedule import image_size
from inceptorch.training.schedule import learning_rate as _rate


def test_rates_fall_as_the_papers_say() -> None:
    def rates(name: str, *epochs: float) -> list[float]:
        recipe = RECIPES[name]
        return [_rate(recipe, int(epoch), round(1000 * (epoch % 1)), 1000) / recipe.optimization.lr for epoch in epochs]

    assert rates("szegedy2014", 0, 7.99, 8, 15.9, 16) == pytest.approx([1, 1, 0.96, 0.96, 0.96**2])
    assert rates("bvlc_quick", 0, 15, 45) == pytest.approx([1, 0.75**0.5, 0.5])
    assert rates("szegedy2015", 1.9, 2, 99) == pytest.approx([1, 0.94, 0.94**49])
    assert rates("ioffe2015", 1.3, 1.4, 8) == pytest.approx([1, 0.96, 0.96**6])


def test_the_sides_grow_and_the_last_ones_are_whole(recipe: Recipe) -> None:
    growing = recipe.replace(epochs=5, size_schedule=((0.0, 0.5), (0.5, 1.0), (1.0, 1.0)))
    assert [image_size(growing, 64, epoch) for epoch in range(5)] == [32, 48, 64, 64, 64]
    assert [image_size(recipe, 17, epoch) for epoch in range(3)] == [17, 17, 17]


def test_no_crop_is_larger_than_the_whole_size(recipe: Recipe) -> None:
    growing = recipe.replace(size_schedule=((0.0, 0.5), (1.0, 1.0)), epochs=200)
    for size in (28, 31, 79, 299):
        sides = [image_size(growing, size, epoch) for epoch in range(200)]
        assert sides == sorted(sides)
        assert sides[-1] == size


def test_the_rate_changes_with_every_step_of_an_epoch(recipe: Recipe) -> None:
    rising = recipe.replace(epochs=2, lr=1.0, lr_schedule=((0, 0), (0.5, 1), (1, 0)))
    rates = [_rate(rising, epoch, step, 4) for epoch in range(2) for step in range(4)]
    assert rates == pytest.approx([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])
