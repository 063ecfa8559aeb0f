"""`explain` with every method."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, ImageError, InceptorchError, TableError
from inceptorch.explanation import METHODS, Explanation, explain
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import ImageArray, Preprocessing, default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv, Dropout, Linear
from inceptorch.networks.network import NetworkSpec
from tests.explanation.helpers import classifier_of, noise, rank_correlation
from tests.helpers import detector


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", [None, "conv2"])
def test_the_quarter_that_decides_has_the_maximum(
    colors: Classifier, red_and_green: ImageArray, method: str, layer: str | None
) -> None:
    for label, lower, right in (("red", False, True), ("green", True, False)):
        (found,) = explain(colors, [red_and_green], method=method, layer=layer, target=label)
        y, x = np.unravel_index(found.map.argmax(), found.map.shape)
        height, width = found.map.shape
        assert (y >= height / 2, x >= width / 2) == (lower, right), (label, found.map.shape)
        assert found.peak is not None
        assert (found.peak[0] > 16, found.peak[1] > 16) == (right, lower)


@pytest.mark.parametrize("method", METHODS)
def test_randomised_weights_change_the_map(colors: Classifier, red_and_green: ImageArray, method: str) -> None:
    """The sanity check of arXiv:1810.03292: a map that does not depend on what was learnt says nothing about it."""
    (before,) = explain(colors, [red_and_green], method=method, target="red")
    correlations = []
    for seed in range(6):
        torch.manual_seed(seed)
        fresh = Classifier.of(Model(colors.model.net, 2), colors.preprocessing, colors.classes)
        (after,) = explain(fresh, [red_and_green], method=method, target="red")
        if after.map.std() > 0:  # Grad-CAM may find nothing that is_main_process for the class
            correlations.append(rank_correlation(before.map, after.map))
    assert len(correlations) >= 3
    assert abs(np.mean(correlations)) < 0.5, correlations


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (50, 50), (33, 47), (1000, 20), (20, 1000)])
def test_the_box_is_what_the_crop_shows(size: tuple[int, int]) -> None:
    """A ramp across the image says in the square where its edges lie."""
    width, height = size
    pixels = Preprocessing(24, 28)
    for axis, length in ((1, width), (0, height)):
        ramp = np.linspace(0, 255, length).astype(np.uint8)
        image = np.broadcast_to(ramp if axis else ramp[:, None], (height, width))
        crop = pixels.apply(Image.fromarray(np.ascontiguousarray(image))).astype(float).mean((1 - axis, 2))
        box = pixels.box(width, height)
        start, end = (box[0], box[2]) if axis else (box[1], box[3])
        at = start + (np.arange(24) + 0.5) * (end - start) / 24
        inner = slice(2, -2)  # the filter has less to average at an edge
        np.testing.assert_allclose(crop[inner], ((at - 0.5) * 255 / (length - 1))[inner], atol=4)


def test_the_box_lies_in_the_upright_image(tmp_path: Path, tiny_classifier: Classifier) -> None:
    image = Image.new("RGB", (60, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    (found,) = explain(tiny_classifier, [tmp_path / "turned.jpg"])
    assert decode(tmp_path / "turned.jpg").image.size == (40, 60)
    assert found.box == (0, 10, 40, 50)


def test_the_peak_is_the_center_of_a_cell_of_the_box() -> None:
    crop = np.zeros((4, 4, 3), np.uint8)
    values = np.array([[0, 1, 2, 3], [4, 9, 6, 5]], np.float32)
    for cells, peak in ((values, (25.0, 55.0)), (values[::-1], (25.0, 35.0)), (values - 9, None)):
        found = Explanation([], "a", 0, 1.0, "gradcam", None, cells, None, crop, (10, 25, 50, 65))
        assert found.peak == peak


def test_what_cannot_be_explained(tiny_classifier: Classifier, tmp_path: Path) -> None:
    (crop,) = noise(1, 16)
    with pytest.raises(InceptorchError, match="no method 'occlude': did you mean 'occlusion'"):
        explain(tiny_classifier, [crop], method="occlude")
    for method in METHODS:
        said = "Cannot see layer 'mixx', which the body of tiny does not have: did you mean 'mix'"
        with pytest.raises(TableError, match=said):
            explain(tiny_classifier, [crop], method=method, layer="mixx")
    with pytest.raises(TableError, match="Cannot see layer 'avgpool'"):  # of the head
        explain(tiny_classifier, [crop], layer="avgpool")
    with pytest.raises(ImageError, match=r"none.png does not exist\."):
        explain(tiny_classifier, [tmp_path / "none.png"])
    flat = classifier_of(
        NetworkSpec("flat", "", "", 16, {"conv": Conv(4, 3), "fc": Linear(5)}, {"dropout": Dropout(0.1)})
    )
    assert explain(flat, [crop])[0].layer == "conv"
    with pytest.raises(TableError, match="a fully connected layer has no map"):
        explain(flat, [crop], layer="fc")
    with torch.no_grad():
        tiny_classifier.model.get_classifier().weight.fill_(float("nan"))
    with pytest.raises(BundleError, match="not finite"):
        explain(tiny_classifier, [crop])


def test_gray_images_and_many_of_them(tiny: NetworkSpec) -> None:
    torch.manual_seed(0)
    classifier = Classifier.of(Model(tiny, 3, in_chans=1), default_preprocessing(16, "gray"), ["a", "b", "c"])
    crops = noise(10, 16)
    for method in METHODS:
        explained = explain(classifier, crops, method=method, top=2)
        assert [len(one.predictions) for one in explained] == [2] * 10
        assert [one.index for one in explained] == [one["index"] for (one,) in classifier.predict(crops, top=1)]
        assert len({one.map.tobytes() for one in explained}) == 10


def test_photographs_are_explained_where_their_answer_is(bvlc: Classifier, shared: Path) -> None:
    """A beetle that fills the middle of its photograph: all three methods look there and not at the rim."""
    with open(shared / "photos" / "labels.csv", newline="") as file:
        labels = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    photo = "0c7ac4a8c9dfa802.png"
    (found,) = explain(bvlc, [shared / "photos" / photo])
    assert found.layer == "5b"
    assert "beetle" in found.label
    assert labels[photo] in [one["index"] for one in found.predictions]
    assert found.map[2:5, 2:5].mean() > 2 * found.map.mean()


def test_a_detector_is_refused() -> None:
    with pytest.raises(BundleError, match="Cannot explain a detector: it answers with boxes. Try inceptorch predict"):
        explain(detector(), np.zeros((64, 96, 3), np.uint8))
