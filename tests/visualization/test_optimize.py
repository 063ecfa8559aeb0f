"""The loop that optimizes images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inceptorch.classifier import Classifier
from inceptorch.errors import NonFiniteOutputError
from inceptorch.visualization.fourier import FourierImage
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.objectives import channel
from inceptorch.visualization.optimize import optimize


def image(seed: int = 0) -> FourierImage:
    return FourierImage(1, 32, 32, torch.Generator().manual_seed(seed))


def test_a_channel_is_raised_and_a_seed_gives_the_same_image(tiny: Classifier) -> None:
    layer = list(tiny.model.net.body)[2]
    maps, objective = Maps(tiny, [layer]), channel(layer, 1)

    def loss(images: Tensor, step: int) -> Tensor:
        return -objective.value(maps(images)).sum()

    first, again = (optimize(image(), loss, 12) for _ in range(2))
    assert len(first.losses) == 12
    assert first.losses[-1] < first.losses[0] - 0.1
    assert first.losses == again.losses
    assert torch.equal(first.image, again.image)


def test_an_interruption_keeps_the_image_so_far() -> None:
    def loss(images: Tensor, step: int) -> Tensor:
        if step == 3:
            raise KeyboardInterrupt
        return images.mean()

    result = optimize(image(), loss, 9)
    assert result.interrupted
    assert len(result.losses) == 3
    assert result.image.mean() < image()().mean()


def test_a_loss_that_is_not_finite_is_refused() -> None:
    with pytest.raises(NonFiniteOutputError):
        optimize(image(), lambda images, step: images.mean() * torch.nan, 3)


def test_each_step_is_told() -> None:
    told: list[tuple[int, tuple[int, ...]]] = []
    optimize(
        image(), lambda images, step: images.mean(), 2, on_step=lambda n, shown: told.append((n, tuple(shown.shape)))
    )
    assert told == [(1, (1, 3, 32, 32)), (2, (1, 3, 32, 32))]
