"""Batches from this process or from workers."""

from pathlib import Path

import pytest
import torch

from inceptorch.data import find_split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.loader import choose_workers, load_batches
from inceptorch.errors import ImageError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.training.recipe import Recipe
from tests.conftest import COLORS

CLASSES = tuple(COLORS)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_the_given_order_and_errors_name_the_image(images: Path, recipe: Recipe, workers: int) -> None:
    data = AugmentedDataset(
        find_split(images, CLASSES, "train"), default_preprocessing(16), recipe.augmentation, seed=1
    )
    order = [[5, 3], [0, 30, 7]]
    batches = list(load_batches(data, order, workers))
    assert [indices.tolist() for _, _, indices in batches] == order
    assert torch.equal(batches[1][0][2], data[7][0])
    gone = images / "train" / "blue" / "07.png"
    gone.unlink()
    with pytest.raises(ImageError, match=f"^{gone} does not exist"):
        list(load_batches(data, order, workers))


def test_workers_are_as_many_as_the_loading_takes() -> None:
    assert choose_workers(loading=0.01, step=1.0, spare_cores=8) == 0
    assert choose_workers(loading=2.0, step=1.0, spare_cores=8) == 3
    assert choose_workers(loading=2.0, step=1.0, spare_cores=2) == 2
