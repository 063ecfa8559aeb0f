"""Mixing and erasing: what the targets say is what the images hold, and a step's key decides everything."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.tasks.mixup import ERASED_AREA, erase, mix

CLASSES = 6


def with_(**values: float) -> AugmentationConfig:
    return AugmentationConfig(**values)  # type: ignore[arg-type]


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(CLASSES)


@pytest.fixture
def images(labels: Tensor) -> Tensor:
    """Every image is one-colored, by its class: what is mixed can be read off it."""
    return F.one_hot(labels, CLASSES).float()[:, :, None, None].expand(-1, -1, 20, 30).clone()


def test_without_any_of_them_a_batch_is_untouched(images: Tensor, labels: Tensor) -> None:
    mixed, targets = mix(images, labels, CLASSES, AugmentationConfig(), seed=1)
    assert mixed is images
    assert targets is labels


@pytest.mark.parametrize(
    "config", [with_(mixup_alpha=0.5), with_(cutmix_alpha=1.0), with_(mixup_alpha=0.5, cutmix_alpha=1.0)]
)
@pytest.mark.parametrize("seed", range(4))
def test_the_targets_are_the_shares_of_what_is_in_the_images(
    images: Tensor, labels: Tensor, config: AugmentationConfig, seed: int
) -> None:
    before = images.clone()
    mixed, targets = mix(images, labels, CLASSES, config, seed)
    torch.testing.assert_close(mixed.mean((2, 3)), targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(CLASSES))
    assert torch.equal(images, before)
    assert (targets > 0).sum() > CLASSES  # something was mixed


def test_with_both_each_step_has_either(images: Tensor, labels: Tensor) -> None:
    config = with_(mixup_alpha=1.0, cutmix_alpha=1.0)
    whole = [mix(images, labels, CLASSES, config, seed)[0] for seed in range(60)]
    cut = [bool(((mixed == 0) | (mixed == 1)).all()) for mixed in whole]
    assert 15 < sum(cut) < 45


@pytest.mark.parametrize("values", [{"mixup_alpha": 1.0}, {"cutmix_alpha": 1.0}, {"random_erasing_prob": 0.9}])
def test_a_steps_key_decides_and_nothing_else(images: Tensor, labels: Tensor, values: dict[str, float]) -> None:
    first = mix(images, labels, CLASSES, with_(**values), seed=5)
    torch.rand(3)
    state = torch.get_rng_state()
    again = mix(images, labels, CLASSES, with_(**values), seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], mix(images, labels, CLASSES, with_(**values), seed=6)[0])


def test_erasing_takes_a_rectangle_out_of_the_share_of_images_asked_for() -> None:
    whole = torch.ones(400, 3, 40, 60).to(memory_format=torch.channels_last)
    erased, targets = mix(whole, torch.zeros(400, dtype=torch.int64), CLASSES, with_(random_erasing_prob=0.25), seed=0)
    assert targets.shape == (400,)
    assert erased.is_contiguous(memory_format=torch.channels_last)
    assert bool((whole == 1).all())
    gone = (erased == 0).all(1)
    assert torch.equal((erased == 0).any(1), gone)
    touched = gone.flatten(1).any(1)
    assert 70 < int(touched.sum()) < 130
    areas = []
    for hole in gone[touched]:
        rows, columns = hole.any(1).nonzero(), hole.any(0).nonzero()
        filled = hole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert bool(filled.all())  # one full rectangle
        areas.append(float(hole.float().mean()))
    assert min(areas) > ERASED_AREA[0] * 0.8
    assert max(areas) < ERASED_AREA[1] * 1.1
    assert max(areas) > 0.25
    assert len(set(areas)) > len(areas) // 2
    where = gone[touched].float().mean(0)
    assert float(where[20, 30]) > float(where[0, 0])
    for edge in (where[:3], where[-3:], where[:, :3], where[:, -3:]):
        assert float(edge.sum()) > 0


def test_every_edge_is_erased_as_often() -> None:
    torch.manual_seed(0)
    gone = (erase(torch.ones(4000, 1, 16, 16), 1.0) == 0).float().mean((0, 1))
    edges = [float(edge.mean()) for edge in (gone[0], gone[-1], gone[:, 0], gone[:, -1])]
    assert edges == pytest.approx([sum(edges) / 4] * 4, rel=0.1)


def test_all_of_it_works_on_one_gray_image() -> None:
    image = torch.rand(1, 1, 9, 9)
    mixed, targets = mix(
        image, torch.tensor([2]), CLASSES, with_(mixup_alpha=1.0, cutmix_alpha=1.0, random_erasing_prob=1.0), seed=0
    )
    assert mixed.shape == image.shape
    assert targets.tolist() == [[0, 0, 1, 0, 0, 0]]
    assert bool((mixed == 0).any())
