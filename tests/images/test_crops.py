"""Crop protocols, against the papers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import ProtocolError
from inceptorch.images.crops import CENTER, PROTOCOLS, CropProtocol, get_protocol
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing

PIXELS = Preprocessing(28, 32)
RANDOM = np.random.default_rng(0)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


def googlenets_crops(image: Image.Image, size: int) -> Iterator[np.ndarray]:
    """arXiv:1409.4842 section 7 word by word: four scales of the shorter side, left, center and right square, of each
    the four corners and the center and the square resized, and their mirrored versions."""
    for scale in (256, 288, 320, 352):
        side = round(size * scale / 224)
        width, height = image.size
        if width <= height:
            resized = image.resize((side, round(side * height / width)), Image.Resampling.BILINEAR)
        else:
            resized = image.resize((round(side * width / height), side), Image.Resampling.BILINEAR)
        spare_x, spare_y = resized.width - side, resized.height - side
        for x, y in ((0, 0), (spare_x // 2, spare_y // 2), (spare_x, spare_y)):
            square = resized.crop((x, y, x + side, y + side))
            far, middle = side - size, (side - size) // 2
            crops = [
                square.crop((left, top, left + size, top + size))
                for left, top in ((0, 0), (far, 0), (0, far), (far, far), (middle, middle))
            ]
            crops.append(square.resize((size, size), Image.Resampling.BILINEAR))
            for crop in crops:
                yield np.asarray(crop)
                yield np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def counted(crops: Iterator[np.ndarray]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for crop in crops:
        found[crop.tobytes()] = found.get(crop.tobytes(), 0) + 1
    return found


@pytest.mark.parametrize("size", [(50, 40), (40, 50), (61, 33), (45, 45), (28, 28), (90, 20)])
def test_the_144_crops_are_the_papers(size: tuple[int, int]) -> None:
    image = noise(*size)
    crops, weights = PROTOCOLS["144crop"].apply(image, PIXELS)
    expected = counted(googlenets_crops(image, 28))
    assert sum(expected.values()) == PROTOCOLS["144crop"].count == 144
    found: dict[bytes, int] = {}
    for crop, weight in zip(crops, weights, strict=True):
        found[crop.tobytes()] = found.get(crop.tobytes(), 0) + round(144 * weight)
    assert found == expected


def test_a_square_image_needs_a_third_of_the_144_crops() -> None:
    crops, weights = PROTOCOLS["144crop"].apply(noise(50, 50), PIXELS)
    assert len(crops) == 48
    assert weights.tolist() == pytest.approx([3 / 144] * 48)


@pytest.mark.parametrize("preprocessing", [PIXELS, Preprocessing(27, 32), Preprocessing(28, 33)])
def test_center_is_the_crop_of_the_preprocessing(preprocessing: Preprocessing) -> None:
    for size in ((50, 40), (33, 32), (32, 33), (33, 70), (28, 28)):
        image = noise(*size)
        crops, weights = PROTOCOLS["center"].apply(image, preprocessing)
        assert (crops[0] == preprocessing.apply(image)).all()
        assert weights.tolist() == [1.0]


def test_ten_and_twelve_crops() -> None:
    image = noise(50, 40)
    ten, _ = PROTOCOLS["10crop"].apply(image, PIXELS)
    twelve, weights = PROTOCOLS["12crop"].apply(image, PIXELS)
    assert (len(ten), len(twelve)) == (PROTOCOLS["10crop"].count, PROTOCOLS["12crop"].count) == (10, 12)
    assert weights.sum() == pytest.approx(1)
    assert (ten[5:] == ten[:5, :, ::-1]).all()
    resized = image.resize((40, 32), Image.Resampling.BILINEAR)
    assert (ten[0] == np.asarray(resized.crop((4, 0, 32, 28)))).all()  # of the square in the middle
    assert (ten[3] == np.asarray(resized.crop((8, 4, 36, 32)))).all()
    assert (twelve[5] == np.asarray(resized.crop((4, 0, 36, 32)).resize((28, 28), Image.Resampling.BILINEAR))).all()


def test_odd_rests_are_rounded_down() -> None:
    image = noise(46, 27)  # as it is resized to, with 19 beside the square and 3 beside each crop
    crops, _ = PROTOCOLS["12crop"].apply(image, Preprocessing(24, 27))
    pixels = np.asarray(image)
    np.testing.assert_array_equal(crops[0], pixels[0:24, 9:33])
    np.testing.assert_array_equal(crops[4], pixels[1:25, 10:34])


def test_low_resolution_loses_details_and_keeps_the_size() -> None:
    pixels = default_preprocessing(112)
    image = noise(200, 150)
    (crop,), _ = PROTOCOLS["low-resolution"].apply(image, pixels)
    (sharp,), _ = PROTOCOLS["center"].apply(image, pixels)
    assert crop.shape == sharp.shape == (112, 112, 3)
    assert crop.std() < sharp.std() / 2
    paper = default_preprocessing(299)  # whose images are reduced to 79 pixels
    reduced = image.resize((105, 79), Image.Resampling.BILINEAR)
    (found,), _ = PROTOCOLS["low-resolution"].apply(image, paper)
    (expected,), _ = CENTER.apply(reduced, paper)
    assert (found == expected).all()
    assert "reduced to 79, then " in PROTOCOLS["low-resolution"].describe(paper)


def test_a_small_network_has_the_papers_proportions() -> None:
    described = PROTOCOLS["144crop"].describe(PIXELS)
    assert "shorter side to 32, 36, 40, 44 (bilinear)" in described
    assert "probabilities of 144 averaged" in described
    assert PROTOCOLS["center"].describe(PIXELS) == "center: shorter side to 32 (bilinear), center crop 28"


def test_a_protocol_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("sides: [240, 300]\ncrops: [center, whole]\nmirror: true\n")
    mine = get_protocol(str(file))
    assert mine == replace(mine, name="mine", sides=(240, 300), crops=("center", "whole"), mirror=True)
    assert mine.count == 8
    assert len(mine.apply(noise(50, 40), PIXELS).images) == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sides: [100]", "sides is \\[100\\]; it must be a list of whole numbers from 224"),
        ("sides: [256.5]", "a list of whole numbers"),
        ("crops: [middle]", "crops is \\['middle'\\]; it must be a list of some of"),
        ("crops: []", "crops"),
        ("crops: [[center]]", "a list of some of corners, center, whole"),
        ("crops: [center, center]", "crops has a kind twice"),
        ("crops: center", "crops is 'center'; it must be a list of some of"),
        ("squares: [middle]", "must be one of middle, three"),
        ("reduce_to: much", "reduce_to is 'much'; it must be a whole number"),
        ("reduce_to: true", "must be a whole number"),
        ("source: 2014", "source is 2014; it must be text"),
        ("side: [256]", "no value 'side': did you mean 'sides'"),
        ("squares: all", "must be one of middle, three"),
        ("sides: 256", "sides is 256; it must be a list of whole numbers"),
        ("sides: [a]", "a list of whole numbers"),
        ("mirror: 3", "must be true or false"),
        ("name: a/b", "without slashes"),
        ("name: .a", "does not begin with a dot"),
        ("- 1", "must hold values by name"),
        ("a: [", "is not YAML: line 1: "),
        (5000 * "[", "is not YAML"),
        ("sides: 2020-13-45", "is not YAML: month must be in 1..12"),
    ],
)
def test_what_is_no_protocol_is_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ProtocolError, match=said):
        get_protocol(str(tmp_path / "p.yaml"))


def test_a_name_that_is_none() -> None:
    with pytest.raises(ProtocolError, match="no protocol '144crops': did you mean '144crop'"):
        get_protocol("144crops")
    with pytest.raises(ProtocolError, match=r"nowhere.yaml does not exist"):
        get_protocol("nowhere.yaml")
    assert isinstance(get_protocol("center"), CropProtocol)


def test_views_are_mirrored_and_shifted_and_weigh_half_where_shifted() -> None:
    image = noise(32, 32)
    crops = get_protocol("6view").apply(image, default_preprocessing(32))
    plain = np.asarray(image)
    padded = np.pad(plain, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    views = [plain, padded[2:, 2:], padded[:-2, :-2]]
    expected = {view.tobytes(): weight for view, weight in zip(views, (0.25, 0.125, 0.125), strict=True)}
    for view, weight in zip(views, (0.25, 0.125, 0.125), strict=True):
        expected[view[:, ::-1].tobytes()] = weight
    assert {crop.tobytes(): weight for crop, weight in zip(*crops, strict=True)} == pytest.approx(expected)
    described = get_protocol("6view").describe(default_preprocessing(32))
    assert "shifted by 1 pixel both ways; probabilities of 6 averaged" in described
    assert "shifted by 7 pixels" in get_protocol("6view").describe(default_preprocessing(224))
