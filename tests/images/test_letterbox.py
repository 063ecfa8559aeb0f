import numpy as np
from PIL import Image

from inceptorch.images.boxes import Boxes
from inceptorch.images.letterbox import fill_color, letterbox
from inceptorch.images.preprocessing import default_preprocessing

PIXELS = default_preprocessing(64)


def test_an_image_fits_and_the_rest_is_the_mean_color() -> None:
    boxed = letterbox(Image.new("RGB", (100, 50), (9, 8, 7)), 64, 64, PIXELS)
    assert boxed.image.shape == (64, 64, 3)
    assert boxed.image[:32].reshape(-1, 3).tolist() == [[9, 8, 7]] * 32 * 64
    assert boxed.image[32:].reshape(-1, 3).tolist() == [[124, 116, 104]] * 32 * 64
    assert (boxed.scale, boxed.size) == ((0.64, 0.64), (100, 50))


def test_boxes_return_to_the_original_and_stay_within_it() -> None:
    boxed = letterbox(Image.new("RGB", (100, 50)), 64, 64, PIXELS)
    boxes = boxed.to_original(Boxes.of([[6.4, 3.2, 70, 40]], [0]))
    assert np.allclose(boxes.xyxy, [[10, 5, 100, 50]])


def test_a_very_long_image_keeps_one_pixel() -> None:
    assert letterbox(Image.new("RGB", (3000, 2)), 64, 96, PIXELS).scale == (64 / 3000, 0.5)


def test_the_fill_color_is_in_rgb_whatever_the_network_takes() -> None:
    assert fill_color(default_preprocessing(64, "bgr")) == (124, 116, 104)
    assert fill_color(default_preprocessing(64, "gray")) == (117, 117, 117)
