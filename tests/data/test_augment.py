"""What is done to a training image: keyed draws, the contract without them, and every change as it is meant."""

import colorsys
import dataclasses
import itertools
import math
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from inceptorch.data import Split, augment, find_split
from inceptorch.data.augment import (
    AugmentedDataset,
    adjust_hue,
    adjust_saturation,
    decode_all,
    derive_seed,
    distort_color,
    flip_and_shift,
    jitter,
    random_box,
    resize,
)
from inceptorch.data.sources.pairs import open_pairs
from inceptorch.errors import ImageError
from inceptorch.images.decode import RGBArray
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.training.recipe import RECIPES, Recipe, with_values
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS
from tests.training.helpers import SIZE, Patches, shaken

PLAIN = {"crop_scale": (1.0, 1.0), "hflip": 0.0}
EVERYTHING = {"color_jitter": 0.3, "auto_augment": "trivial", "interpolation": "random"}


@pytest.fixture
def split(images: Path) -> Split:
    return find_split(images, list(COLORS))


def variants(data: AugmentedDataset, epochs: int) -> set[bytes]:
    """What becomes of the first image in so many epochs."""
    seen = set()
    for data.epoch in range(epochs):
        seen.add(data[0][0].numpy().tobytes())
    return seen


def test_augmentation_varies_by_epoch_and_image_and_not_otherwise(split: Split, recipe: Recipe) -> None:
    data = AugmentedDataset(split, default_preprocessing(16), with_values(recipe, EVERYTHING).augmentation, seed=0)
    first, other = data[0][0], data[1][0]
    torch.manual_seed(99)
    random.seed(99)
    assert torch.equal(data[0][0], first)
    state = torch.random.get_rng_state()
    data[0]
    assert torch.equal(torch.random.get_rng_state(), state)
    data.epoch = 1
    assert not torch.equal(data[0][0], first)
    assert first.shape == other.shape == (3, 16, 16)
    assert first.dtype == torch.uint8


def test_a_batch_at_once_is_its_images_one_by_one(split: Split, recipe: Recipe) -> None:
    data = AugmentedDataset(split, default_preprocessing(16), with_values(recipe, EVERYTHING).augmentation, seed=3)
    images, labels, indices = data.__getitems__([5, 2, 7, 0])
    assert indices.tolist() == [5, 2, 7, 0]
    assert labels.tolist() == [split.labels[index] for index in (5, 2, 7, 0)]
    for image, index in zip(images, indices.tolist(), strict=True):
        assert torch.equal(image, data[index][0])
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_file_that_is_gone_is_named(split: Split, recipe: Recipe) -> None:
    data = AugmentedDataset(split, default_preprocessing(16), recipe.augmentation, seed=0)
    Path(split.file(3)).unlink()
    with pytest.raises(ImageError, match=rf"^{split.file(3)} does not exist"):
        data[3]


def test_without_augmentation_pixels_are_the_contracts(split: Split, recipe: Recipe) -> None:
    data = AugmentedDataset(split, default_preprocessing(16), with_values(recipe, PLAIN).augmentation, seed=0)
    assert np.array_equal(data[4][0].permute(1, 2, 0).numpy(), split.crop(4, data.pixels))


@pytest.mark.parametrize("side", [12, 16])
def test_the_side_can_be_set_between_epochs(split: Split, recipe: Recipe, side: int) -> None:
    pixels = dataclasses.replace(default_preprocessing(16), resize=20)
    data = AugmentedDataset(split, pixels, with_values(recipe, PLAIN).augmentation, seed=0)
    data.size = side
    assert torch.equal(data[4][0], resize(split.crop(4, pixels), side, "bilinear"))
    cropped = AugmentedDataset(split, pixels, with_values(recipe, EVERYTHING).augmentation, seed=0)
    cropped.size = side
    assert cropped.__getitems__([0, 1])[0].shape == (2, 3, side, side)


@pytest.mark.parametrize(("hflip", "expected"), [(0.0, 1), (0.5, 2)])
def test_mirroring_can_be_switched_off(split: Split, recipe: Recipe, hflip: float, expected: int) -> None:
    data = AugmentedDataset(
        split, default_preprocessing(16), with_values(recipe, {**PLAIN, "hflip": hflip}).augmentation, seed=0
    )
    assert len(variants(data, 20)) == expected
    if hflip:
        crop = split.crop(0, data.pixels)
        assert variants(data, 20) == {_planes(crop), _planes(crop[:, ::-1])}


def _planes(crop: RGBArray) -> bytes:
    return np.ascontiguousarray(crop.transpose(2, 0, 1)).tobytes()


def test_random_interpolation_draws_every_filter(split: Split, recipe: Recipe) -> None:
    whole = {"crop_scale": (0.999, 1.0), "crop_ratio": (1.2, 1.2), "hflip": 0.0}
    data = AugmentedDataset(
        split, default_preprocessing(16), with_values(recipe, {**whole, "interpolation": "random"}).augmentation, seed=0
    )
    assert len(variants(data, 40)) == 4
    assert (
        len(
            variants(
                AugmentedDataset(split, default_preprocessing(16), with_values(recipe, whole).augmentation, seed=0), 40
            )
        )
        == 1
    )


def test_training_images_can_be_sent_to_other_processes(split: Split, recipe: Recipe) -> None:
    data = AugmentedDataset(split, default_preprocessing(16), with_values(recipe, EVERYTHING).augmentation, seed=0)
    assert torch.equal(pickle.loads(pickle.dumps(data))[3][0], data[3][0])


def test_policy_is_one_operation_of_trivialaugment(split: Split, recipe: Recipe) -> None:
    """Of its 14 operations several leave an image as it is for some draws; the many others differ."""
    data = AugmentedDataset(
        split, default_preprocessing(16), with_values(recipe, {**PLAIN, "auto_augment": "trivial"}).augmentation, seed=0
    )
    seen = variants(data, 60)
    assert _planes(split.crop(0, data.pixels)) in seen
    assert len(seen) > 25


def test_boxes_are_drawn_as_torchvisions() -> None:
    from torchvision.transforms import v2

    area, aspect = (0.08, 1.0), (3 / 4, 4 / 3)
    draw = random.Random(0)
    ours = np.array([random_box(375, 500, area, aspect, draw) for _ in range(4000)])
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(8, area, aspect)
    image = torch.zeros(1, 375, 500)
    theirs = np.array(
        [[p["top"], p["left"], p["height"], p["width"]] for p in (crop.make_params([image]) for _ in range(4000))]
    )
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), rtol=0.06)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=0.06)
    top, left, height, width = ours.T
    assert min(top.min(), left.min(), height.min(), width.min()) >= 0
    assert (top + height).max() <= 375
    assert (left + width).max() <= 500


@pytest.mark.parametrize(("height", "width", "box"), [(10, 1000, (0, 493, 10, 13)), (1000, 10, (493, 0, 13, 10))])
def test_a_strip_gives_the_largest_box_in_its_middle(height: int, width: int, box: tuple[int, ...]) -> None:
    assert random_box(height, width, (0.5, 1.0), (3 / 4, 4 / 3), random.Random(0)) == box


def test_a_image_of_one_pixel_can_be_cropped(recipe: Recipe) -> None:
    for seed in range(20):
        assert random_box(1, 1, (0.08, 1.0), (3 / 4, 4 / 3), random.Random(seed)) == (0, 0, 1, 1)


@pytest.mark.parametrize("filter", ["bilinear", "bicubic", "box", "nearest", "lanczos"])
def test_resizing_is_pillows_to_within_one(filter: str) -> None:
    part = np.random.default_rng(0).integers(0, 256, (61, 47, 3), dtype=np.uint8)
    for side in (24, 61, 90):
        resized = resize(part[5:, 3:], side, filter).permute(1, 2, 0).numpy().astype(int)
        pillows = Image.fromarray(part[5:, 3:]).resize((side, side), Image.Resampling[filter.upper()])
        assert np.abs(resized - np.asarray(pillows)).max() <= 1
    assert np.array_equal(resize(part[:40, :40], 40, filter).permute(1, 2, 0).numpy(), part[:40, :40])


def test_jitter_multiplies_each_of_three_in_any_order() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    assert jitter(image, 0.0, random.Random(0)).tobytes() == image.tobytes()

    class Fixed(random.Random):
        """Draws 1 for the factors but the one of `at`."""

        def __init__(self, at: int):
            super().__init__(0)
            self.left = at

        def uniform(self, a: float, b: float) -> float:
            assert (a, b) == (0.6, 1.4)
            self.left -= 1
            return 1.4 if self.left == -1 else 1.0

    alone = {
        enhance: enhance(image).enhance(1.4).tobytes()
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    }
    assert {jitter(image, 0.4, Fixed(at)).tobytes() for at in range(3)} == set(alone.values())


def test_jitter_changes_brightness_contrast_and_saturation_in_random_order() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))

    class Largest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    in_every_order = set()
    for order in itertools.permutations((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)):
        changed = image
        for enhance in order:
            changed = enhance(changed).enhance(1.4)
        in_every_order.add(changed.tobytes())
    assert len(in_every_order) > 3
    assert {jitter(image, 0.4, Largest(seed)).tobytes() for seed in range(60)} == in_every_order


def test_a_transforms_draws_leave_the_generators_as_they_were(recipe: Recipe) -> None:
    train, _ = open_pairs((Patches(6, 1), Patches(3, 2)), 0.2, 0)
    dataset = AugmentedDataset(train, default_preprocessing(SIZE), recipe.augmentation, 7, shaken)
    state, numbers = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"]
    first = [dataset[index][0] for index in range(6)]
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numbers)
    assert all(torch.equal(dataset[index][0], first[index]) for index in (5, 0, 3))
    dataset.epoch = 1
    assert not all(torch.equal(dataset[index][0], first[index]) for index in range(6))


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (300, 1200)])
def test_caffes_crops_are_224_of_256_pixels_of_any_image_that_was_squeezed_to_a_square(height: int, width: int) -> None:
    for name in ("bvlc", "bvlc_quick"):
        config = RECIPES[name].augmentation
        draw = random.Random(0)
        boxes = np.array(
            [
                random_box(height, width, config.crop_scale, config.crop_ratio, draw, config.crop_from)
                for _ in range(400)
            ]
        )
        top, left, high, wide = boxes.T
        assert set(high) == {round(0.875 * height)}
        assert set(wide) == {round(0.875 * width)}
        assert (top.min(), left.min()) == (0, 0)
        assert (top.max(), left.max()) == (height - high[0], width - wide[0])
    assert RECIPES["szegedy2014"].augmentation.crop_from == "image"


def test_hue_and_saturation_are_those_of_hsv() -> None:
    image = torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(0))
    image[:, 0] = image[:1, 0]  # grays, which have no hue
    pixels = [[float(value) for value in pixel] for pixel in image.permute(1, 2, 0).reshape(-1, 3)]

    def through(change: Callable[[float, float, float], tuple[float, float, float]]) -> torch.Tensor:
        changed = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel))) for pixel in pixels]
        return torch.tensor(changed).reshape(7, 9, 3).permute(2, 0, 1)

    torch.testing.assert_close(adjust_hue(image, -0.2), through(lambda h, s, v: ((h - 0.2) % 1, s, v)))
    torch.testing.assert_close(adjust_hue(image, 0.15), through(lambda h, s, v: ((h + 0.15) % 1, s, v)))
    torch.testing.assert_close(adjust_saturation(image, 0.5), through(lambda h, s, v: (h, 0.5 * s, v)))
    torch.testing.assert_close(adjust_saturation(image, 1.5), through(lambda h, s, v: (h, min(1.0, 1.5 * s), v)))


def test_colors_are_distorted_as_for_inception_v3_in_one_of_four_orders() -> None:
    class Fixed(random.Random):
        """Draws one order, and the largest of every factor."""

        def __init__(self, order: int):
            super().__init__(0)
            self.order, self.ranges = order, list[tuple[float, float]]()

        def choice(self, orders: Any) -> Any:
            assert len(set(orders)) == 4
            return orders[self.order]

        def uniform(self, a: float, b: float) -> float:
            self.ranges.append((a, b))
            return b

    image = torch.randint(0, 256, (3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = set()
    for order in range(4):
        draw = Fixed(order)
        found.add(distort_color(image, draw).numpy().tobytes())
        assert sorted(draw.ranges) == [(-0.2, 0.2), (-32 / 255, 32 / 255), (0.5, 1.5), (0.5, 1.5)]
    assert len(found) == 4
    x = image.float() / 255  # contrast, hue, brightness, saturation
    mean = x.mean((1, 2), keepdim=True)
    x = adjust_saturation(adjust_hue(mean + 1.5 * (x - mean), 0.2) + 32 / 255, 1.5)
    assert (255 * x).round().clamp(0, 255).to(torch.uint8).numpy().tobytes() in found


@pytest.mark.parametrize("name", ["szegedy2015", "szegedy2016"])
def test_inception_v3_and_v4_are_trained_on_images_as_tensorflows_code_has_them(name: str, split: Split) -> None:
    config = RECIPES[name].augmentation
    assert (config.crop_scale, config.crop_ratio) == ((0.05, 1.0), (3 / 4, 4 / 3))
    assert (config.hflip, config.interpolation, config.color_distortion) == (0.5, "random", True)
    whole = {"crop_scale": (1.0, 1.0), "hflip": 0.0, "interpolation": "default"}
    still = with_values(RECIPES[name], whole)
    assert len(variants(AugmentedDataset(split, default_preprocessing(16), still.augmentation, seed=0), 20)) == 20


def test_an_image_is_mirrored_where_the_draw_is_below_the_fraction(split: Split, recipe: Recipe) -> None:
    drawn = random.Random(5).random()
    found = []
    for hflip in (drawn, math.nextafter(drawn, 1)):
        config = with_values(recipe, {**PLAIN, "hflip": hflip}).augmentation
        data = AugmentedDataset(split, default_preprocessing(16), config, seed=0)
        found.append(data._augmented(split.read(0), 0, random.Random(5)))
    assert torch.equal(found[0], found[1].flip(2))
    assert not torch.equal(*found)


def test_seeds_have_63_bits_and_depend_on_every_part() -> None:
    seeds = [derive_seed(*parts) for parts in itertools.product(range(5), repeat=3)]
    assert len(set(seeds)) == 125
    assert 2**62 < max(seeds) < 2**63


def test_images_are_flipped_and_then_shifted_with_their_edges_reflected() -> None:
    images = torch.randint(0, 256, (4, 3, 6, 7), dtype=torch.uint8)
    moves = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 2, -1], [1, -2, 1]])
    found = flip_and_shift(images, moves)
    assert torch.equal(found[0], images[0])
    assert torch.equal(found[1], images[1].flip(2))
    for number, base in ((2, images[2]), (3, images[3].flip(2))):
        padded = torch.nn.functional.pad(base.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
        _, down, right = moves[number].tolist()
        assert torch.equal(found[number], padded[:, 2 - down : 8 - down, 2 - right : 9 - right])


def test_every_image_is_flipped_in_every_other_epoch(split: Split, recipe: Recipe) -> None:
    config = with_values(recipe, {**PLAIN, "hflip": 0.5, "hflip_alternate": True}).augmentation
    data = AugmentedDataset(split, default_preprocessing(16), config, seed=0)
    found = []
    for data.epoch in range(4):
        found.append(data.__getitems__(range(len(split)))[0])
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    assert torch.equal(found[0], found[1].flip(3))
    first = AugmentedDataset(split, default_preprocessing(16), with_values(recipe, PLAIN).augmentation, seed=0)
    flipped = (found[0] != first.__getitems__(range(len(split)))[0]).flatten(1).any(1)
    assert 0 < flipped.sum() < len(split)
    never = with_values(recipe, {**PLAIN, "hflip_alternate": True}).augmentation  # where hflip is 0
    data = AugmentedDataset(split, default_preprocessing(16), never, seed=0, memory=None)
    data.epoch = 1
    assert torch.equal(data[0][0], first[0][0])


@pytest.mark.parametrize(
    "changes", [{"translate": 3}, {"hflip": 0.5, "translate": 1}, {"hflip": 0.5, "hflip_alternate": True}]
)
def test_images_in_memory_are_those_that_are_decoded_each_time(
    split: Split, recipe: Recipe, changes: dict[str, Any]
) -> None:
    config = with_values(recipe, PLAIN | changes).augmentation
    pixels = default_preprocessing(16)
    decoded = AugmentedDataset(split, pixels, config, seed=7)
    assert decoded.can_be_in_memory
    kept = AugmentedDataset(split, pixels, config, seed=7, memory=decode_all(split, pixels, Progress(quiet=True)))
    batch = [3, 0, 5]
    different = 0
    for epoch in range(3):
        decoded.epoch = kept.epoch = epoch
        for found, expected in zip(kept.__getitems__(batch), decoded.__getitems__(batch), strict=True):
            assert torch.equal(found, expected)
        different += not torch.equal(kept.__getitems__(batch)[0], kept.memory[batch])  # type: ignore[index]
    assert different
    kept.size = decoded.size = 12  # as in the first epochs of recipe scratch-small
    assert kept.__getitems__(batch)[0].shape == (3, 3, 12, 12)
    assert torch.equal(kept.__getitems__(batch)[0], decoded.__getitems__(batch)[0])


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
def test_whole_crops_shrink_by_the_filter_of_the_preprocessing(
    split: Split, recipe: Recipe, filter: Literal["bilinear", "bicubic"]
) -> None:
    pixels = dataclasses.replace(default_preprocessing(16), filter=filter)
    data = AugmentedDataset(split, pixels, with_values(recipe, PLAIN).augmentation, seed=7)
    whole = data.__getitems__([0])[0][0].permute(1, 2, 0).numpy()
    data.size = 12
    smaller = data.__getitems__([0])[0][0]
    assert torch.equal(smaller, resize(whole, 12, filter))


def test_images_that_are_cropped_or_colored_stay_on_the_disk(
    split: Split, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changes in ({"crop_scale": (0.5, 1.0)}, {"color_jitter": 0.1}, {"auto_augment": "trivial"}):
        config = with_values(recipe, PLAIN | changes).augmentation
        assert not AugmentedDataset(split, default_preprocessing(16), config, seed=0).can_be_in_memory
    config = with_values(recipe, PLAIN).augmentation
    pixels = default_preprocessing(16)
    assert not AugmentedDataset(split, pixels, config, 0, transform=np.asarray).can_be_in_memory
    monkeypatch.setattr(augment, "MAX_MEMORY", 3 * 16 * 16 * len(split))
    assert AugmentedDataset(split, pixels, config, 0).can_be_in_memory
    assert not AugmentedDataset(split, default_preprocessing(17), config, 0).can_be_in_memory
