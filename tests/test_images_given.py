"""What an image may be: files, bytes, Pillow images, arrays, tensors and generators, all with one answer."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.errors import ImageError, ImageInputError
from inceptorch.images.inputs import load_image
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
    forms += [np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)]), RGB.astype(np.uint16) * 257]
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
        (RGB.astype(np.int64), r"array of int64 and shape \(20, 30, 3\)"),
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


def test_images_of_a_generator_are_taken_as_they_are_needed(classifier: Classifier) -> None:
    taken = 0

    def images() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield RGB

    answers = inceptorch.predict(classifier, images(), top=1)
    first = next(answers)
    assert first == {"predictions": classifier.predict(RGB, top=1)}
    assert taken <= 8 * 2 * torch.get_num_threads()
    assert len(list(answers)) == 999


def test_predict_says_what_the_command_says(classifier: Classifier, images: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from inceptorch.cli import app

    classifier.save(tmp_path / "bundle")
    (images / "val" / "red" / "bad.png").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    paths = [images / "val", tmp_path / "none.png", tmp_path / "empty"]
    words = ["predict", str(tmp_path / "bundle"), *map(str, paths), "--json", "--top", "2"]
    said = json.loads(CliRunner().invoke(app, words).stdout)
    assert list(inceptorch.predict(tmp_path / "bundle", paths, top=2)) == said
    assert list(inceptorch.predict(classifier, iter(paths), top=2)) == said
    assert ["error" in entry for entry in said].count(True) == 3
    errors = [entry["error"] for entry in said if "error" in entry]
    assert errors[1:] == ["does not exist", "is a folder that holds no images"]
    with pytest.raises(ImageError, match=r"none.png does not exist"):
        classifier.predict(tmp_path / "none.png")
