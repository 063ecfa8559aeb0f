"""The recipe where none is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import RecipeError
from inceptorch.training.default_recipe import default_recipe, fitted_to
from inceptorch.training.recipe import SMALL


def folder(path: Path, *sides: int) -> Path:
    """Two classes of images with these shorter sides."""
    for name in ("a", "b"):
        (path / name).mkdir(parents=True)
        for number, side in enumerate(sides):
            Image.new("RGB", (side + 3, side)).save(path / name / f"{number}.png")
    return path


@pytest.mark.parametrize(
    ("sides", "values", "expected"),
    [
        ((32, 32, 200), {}, ("scratch-small", 32)),
        ((64, 64, 64), {}, ("scratch-small", 64)),
        ((8, 8, 8), {}, ("scratch-small", 32)),
        ((65, 65, 65), {}, ("scratch", 0)),
        ((200, 200, 200), {"size": 32}, ("scratch-small", 32)),
        ((32, 32, 32), {"size": 224}, ("scratch", 0)),
        ((32, 32, 32), {"net": "googlenet_bn"}, ("scratch", 0)),
        ((200, 200, 200), {"net": "inception_32"}, ("scratch-small", 64)),
    ],
)
def test_small_images_have_a_recipe_of_their_own(
    tmp_path: Path, sides: tuple[int, ...], values: dict[str, Any], expected: tuple[str, int]
) -> None:
    recipe = default_recipe(folder(tmp_path / "data", *sides), False, values)
    assert (recipe.name, recipe.model.size) == expected


def test_given_weights_decide_before_the_size_of_the_images(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", 32)
    assert default_recipe(data, True, {}).name == "head"
    assert default_recipe(data, True, {"epochs": 3}).name == "finetune"


def test_pairs_from_python_are_looked_at_too() -> None:
    pairs = [(np.zeros((32, 32, 3), np.uint8), number % 2) for number in range(10)]
    large = [(np.zeros((100, 80, 3), np.uint8), number % 2) for number in range(10)]
    assert default_recipe(pairs, False, {}).name == "scratch-small"
    assert default_recipe((pairs, large), False, {}).name == "scratch-small"
    assert default_recipe({"train": large, "val": pairs}, False, {}).name == "scratch"
    assert default_recipe([], False, {}).name == "scratch"


def test_a_limit_that_is_no_number_is_refused_by_its_name(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", *[32] * 7)
    with pytest.raises(RecipeError, match="max_images_per_class"):
        default_recipe(data, False, {"max_images_per_class": "x"}).replace(max_images_per_class="x")


def test_nothing_is_fetched_to_look_at_it(tmp_path: Path) -> None:
    for data in (
        "https://host.invalid/train-{000..001}.tar",
        "torchvision:CIFAR10:" + str(tmp_path),
        tmp_path / "none",
    ):
        assert default_recipe(data, False, {}).name == "scratch"
    assert not list(tmp_path.iterdir())


def test_fewer_images_are_seen_more_often_in_smaller_batches() -> None:
    full, fewer, few = (fitted_to(images, 32) for images in (50_000, 5_000, 50))
    assert (full.schedule.epochs, full.optimization.batch_size) == (
        SMALL.schedule.epochs,
        SMALL.optimization.batch_size,
    )
    assert full.schedule.epochs < fewer.schedule.epochs < few.schedule.epochs == 60
    assert full.optimization.batch_size > fewer.optimization.batch_size > few.optimization.batch_size == 64
