"""Stand-in until mixing is there."""

from torch import Tensor

from inceptorch.recipes import Recipe


def mix(pictures: Tensor, labels: Tensor, num_classes: int, recipe: Recipe, seed: int) -> tuple[Tensor, Tensor]:
    return pictures, labels
