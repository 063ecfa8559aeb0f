"""From an image to the crop of a network."""

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import BundleError
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing, resize_shorter

COARSE = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
PHOTO = Image.fromarray(COARSE).resize((80, 60), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (300, 200), (200, 300), (1, 5000), (5000, 1), (40_000, 30)])
def test_any_shape_gives_the_crop(size: tuple[int, int]) -> None:
    assert Preprocessing(24, 28).apply(Image.new("RGB", size, (9, 8, 7))).shape == (24, 24, 3)


def test_the_crop_is_the_middle_of_the_resized_image() -> None:
    resized = PHOTO.resize((40, 30), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((8, 3, 32, 27)))
    np.testing.assert_array_equal(Preprocessing(24, 30).apply(PHOTO), expected)


@pytest.mark.parametrize(("resize", "size", "left", "top"), [(33, 28, 9, 2), (32, 27, 9, 2), (32, 28, 8, 2)])
def test_an_odd_rest_is_rounded_down(resize: int, size: int, left: int, top: int) -> None:
    image = PHOTO.resize((resize * 45 // 32, resize))
    pixels = Preprocessing(size, resize)
    expected = np.asarray(image)[top : top + size, left : left + size]
    np.testing.assert_array_equal(pixels.apply(image), expected)
    assert pixels.box(*image.size) == (left, top, left + size, top + size)


def test_a_long_image_is_cropped_to_16_times_its_width() -> None:
    for size, resized in [((1600, 100), (448, 28)), ((1700, 100), (448, 28)), ((1500, 100), (420, 28))]:
        assert resize_shorter(Image.new("RGB", size), 28, "bilinear").size == resized
        assert resize_shorter(Image.new("RGB", size[::-1]), 28, "bilinear").size == resized[::-1]


def test_an_odd_rest_of_a_long_image_is_rounded_down_too() -> None:
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (3, 49, 3), dtype=np.uint8))
    np.testing.assert_array_equal(np.asarray(resize_shorter(image, 3, "bilinear")), np.asarray(image)[:, :48])
    pixels = Preprocessing(3, 3)
    np.testing.assert_array_equal(pixels.apply(image), np.asarray(image)[:, 22:25])
    assert pixels.box(49, 3) == (22, 0, 25, 3)


def test_means_follow_the_order_of_the_channels() -> None:
    rgb, bgr = default_preprocessing(224), default_preprocessing(224, "bgr")
    assert rgb.mean == (123.675, 116.28, 103.53)
    assert rgb.std == (58.395, 57.12, 57.375)
    assert bgr.mean == (103.53, 116.28, 123.675)
    assert bgr.std == (57.375, 57.12, 58.395)


def test_contract_survives_json_and_refuses_nonsense() -> None:
    for pixels in (default_preprocessing(224), default_preprocessing(32, "gray"), default_preprocessing(224, "bgr")):
        assert Preprocessing.from_dict(pixels.to_dict()) == pixels
    good = default_preprocessing(224).to_dict()
    for bad in (
        {"size": 300},
        {"size": 0},
        {"channels": "xyz"},
        {"filter": "magic"},
        {"std": [0, 1, 1]},
        {"std": [float("nan"), 1, 1]},
        {"size": "large"},
        {"size": 28.5},
        {"mean": [1]},
        {"mean": 3},
        {"extra": 1},
    ):
        with pytest.raises(BundleError, match="Preprocessing"):
            Preprocessing.from_dict({**good, **bad})
