"""The values of augmentation are checked."""

from typing import Any

import pytest

from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.errors import RecipeError


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"crop_scale": (0.9, 0.5)}, r"crop_scale is \[0.9, 0.5\]; it must be two fractions, rising"),
        ({"crop_ratio": (2, 1)}, "crop_ratio is .* two ratios, rising"),
        ({"hflip": 1.5}, "hflip is 1.5; it must be a number <= 1"),
        ({"cutmix_alpha": 1e-4}, "0, or from 0.001 to 1000"),
    ],
)
def test_values_out_of_range(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        AugmentationConfig(**values)


def test_lists_become_tuples() -> None:
    assert AugmentationConfig(crop_scale=[0.5, 1]).crop_scale == (0.5, 1.0)  # type: ignore[arg-type]
