"""The types of images that are accepted."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.errors import ImageError, ImageInputError, InceptorchError
from inceptorch.images.inputs import load_image, load_image_and_alpha
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from tests.conftest import COLORS, TINY

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (20, 30), dtype=np.uint16)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), list(COLORS))


def as_file(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_the_same_image_in_any_form_has_the_same_answer(classifier: Classifier, tmp_path: Path) -> None:
    content = as_file(Image.fromarray(RGB))
    path = tmp_path / "a.png"
    path.write_bytes(content)
    forms: list[Any] = [path, str(path), content, bytearray(content), io.BytesIO(content), Image.fromarray(RGB), RGB]
    forms += [torch.from_numpy(RGB), torch.from_numpy(RGB).permute(2, 0, 1), np.asfortranarray(RGB)]
    forms += [
        RGB.astype(">u2") * 257,
        np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)]),
        RGB.astype(np.uint16) * 257,
    ]
    expected = classifier.predict(path)
    for form in forms:
        assert classifier.predict(form) == expected, type(form)
    with open(path, "rb") as file:
        assert classifier.predict(file) == expected
    assert classifier.predict(RGB[..., ::-1]) != expected
    assert classifier.predict(iter(forms[:2])) == [expected, expected]
    assert classifier.predict([path]) == [expected]


@pytest.mark.parametrize("array", [DEEP, DEEP[..., None], RGB[..., 0], RGB[..., :1]])
def test_gray_and_deep_arrays_are_the_same_pillow_images(array: np.ndarray) -> None:
    plain = Image.fromarray(array[..., 0] if array.ndim == 3 else array)
    np.testing.assert_array_equal(np.asarray(load_image(array)), np.asarray(load_image(as_file(plain))))


def test_transparent_arrays_are_laid_over_white() -> None:
    assert load_image(np.zeros((4, 4, 4), np.uint8)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (3, "Cannot use an int as an image. Try a path"),
        (None, "Cannot use None as an image"),
        ({"file": "a.png"}, "Cannot use a dict as an image"),
        (RGB / 255, r"array of float64 and shape \(20, 30, 3\).*must be uint8 or uint16. Try \(image \* 255\)"),
        (
            RGB.astype(np.int64),
            r"array of int64 and shape \(20, 30, 3\).*Try image.astype\('uint8'\) for values from 0 to 255",
        ),
        (RGB > 9, r"array of bool and shape \(20, 30, 3\)"),
        (np.zeros((0,), np.uint8), r"uint8 and shape \(0,\).*the shape must be"),
        (torch.zeros(2, 8, 8, dtype=torch.uint8), r"uint8 and shape \(2, 8, 8\).*the shape must be"),
        (True, "Cannot use a bool as an image"),
        (RGB[..., :2], r"uint8 and shape \(20, 30, 2\).*the shape must be"),
        (np.stack([RGB, RGB]), r"shape \(2, 20, 30, 3\).*Give several images as a list"),
        (torch.zeros(3, 8, 8), r"tensor of torch.float32 and shape \(3, 8, 8\).*Try \(image \* 255\).round\(\)"),
        (io.StringIO("text"), "is open as text. Try open"),
    ],
)
def test_what_is_no_image_is_refused(classifier: Classifier, image: Any, sentence: str) -> None:
    with pytest.raises(ImageInputError, match=sentence) as caught:
        classifier.predict(image)
    assert isinstance(caught.value, TypeError)
    if not isinstance(image, np.ndarray | torch.Tensor | io.StringIO):
        with pytest.raises(ImageInputError, match=sentence):
            inceptorch.predict(classifier, image)
    with pytest.raises(ImageInputError, match=sentence):
        list(inceptorch.predict(classifier, [RGB, image]))


def test_an_image_without_pixels_or_of_32_bits_is_an_error(classifier: Classifier) -> None:
    images: list[tuple[Any, str]] = [
        (np.zeros((0, 0, 3), np.uint8), "has no pixels"),
        (torch.zeros(3, 0, 5, dtype=torch.uint8), "has no pixels"),
        (Image.fromarray(DEEP.astype(np.int32)), "without an agreed range"),
    ]
    for image, sentence in images:
        with pytest.raises(ImageError, match=sentence):
            classifier.predict(image)
        (entry,) = inceptorch.predict(classifier, [image])
        assert sentence in entry["error"]


def test_a_file_object_larger_than_any_image_is_not_read_to_its_end(classifier: Classifier) -> None:
    with open("/dev/zero", "rb") as endless, pytest.raises(ImageError, match="more than the 1,000 MB that are read"):
        load_image(endless)


@pytest.mark.parametrize("top", [0, -1, "3", 1.5])
def test_a_number_of_classes_that_is_none_is_a_sentence(classifier: Classifier, top: Any) -> None:
    with pytest.raises(
        InceptorchError, match=f"Cannot give the top {top!r} classes: it must be a whole number above 0"
    ):
        classifier.predict(RGB, top=top)
    with pytest.raises(InceptorchError, match="must be a whole number above 0"):
        list(inceptorch.predict(classifier, RGB, top=top))


def test_the_opacity_of_an_image_is_kept_beside_it(tmp_path: Path) -> None:
    alpha = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    rgba = np.dstack([np.full((3, 4, 3), 90, np.uint8), alpha])
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    image, opacity = load_image_and_alpha(tmp_path / "clear.png")
    assert np.array_equal(np.asarray(image), np.asarray(load_image(tmp_path / "clear.png")))
    for source in (tmp_path / "clear.png", rgba, Image.fromarray(rgba), (tmp_path / "clear.png").read_bytes()):
        _, opacity = load_image_and_alpha(source)
        assert opacity is not None
        assert np.array_equal(np.asarray(opacity), alpha)
    turned = Image.fromarray(rgba)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    image, opacity = load_image_and_alpha(tmp_path / "turned.png")
    assert opacity is not None
    assert image.size == opacity.size == (3, 4)
    assert np.array_equal(np.asarray(opacity), np.rot90(alpha, -1))
    palette = Image.fromarray(rgba[..., 0]).convert("P")
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert load_image_and_alpha(palette)[1] is not None
    for opaque in (rgba[..., :3], np.dstack([rgba[..., :3], np.full((3, 4), 255, np.uint8)]), rgba[..., 0]):
        assert load_image_and_alpha(opaque)[1] is None
