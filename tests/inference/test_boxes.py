"""From images to boxes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import BundleError, ImageError
from inceptorch.images.letterbox import letterbox
from inceptorch.inference.boxes import BoxPredictor
from inceptorch.inference.engines.torch import Torch
from inceptorch.networks.network import NetworkSpec
from tests.helpers import classifier_of, detector


def test_boxes_come_in_order_and_lie_within_their_image(tmp_path: Path) -> None:
    random, files = np.random.default_rng(0), []
    for number, (width, height) in enumerate([(96, 64), (40, 120), (300, 30)]):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        files.append(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"text")
    engine = Torch(detector())
    *found, broken = BoxPredictor(engine, batch_size=2).stream([*files, tmp_path / "3.png"])
    assert isinstance(broken.result, ImageError)
    with pytest.raises(ImageError, match="is not an image"):
        _ = broken.boxes
    for file, prediction in zip(files, found, strict=True):
        assert prediction.source == file
        boxes = prediction.boxes
        with Image.open(file) as image:
            assert boxes.xyxy.min(initial=0) >= 0
            assert (boxes.xyxy[:, 2:] <= image.size).all()
            boxed = letterbox(image.convert("RGB"), 96, 64, engine.config.preprocessing)
        (expected,) = engine.detect(boxed.image[None])
        np.testing.assert_allclose(boxes.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(boxes.xyxy, boxed.to_original(expected).xyxy, atol=1e-2)


def test_a_classifier_finds_no_boxes(tiny: NetworkSpec) -> None:
    with pytest.raises(BundleError, match="Cannot find boxes with a classifier"):
        BoxPredictor(Torch(classifier_of(tiny)))
