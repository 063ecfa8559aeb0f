"""Maps of whole images, and where boxes lie on them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.classifier.hub import load
from inceptorch.data import find_split
from inceptorch.data.box_split import BoxSplit
from inceptorch.images.boxes import Boxes
from inceptorch.images.letterbox import letterbox
from inceptorch.papers.studies.detection_2014.maps import View, body_of, image_maps
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def split(drawn: Path) -> BoxSplit:
    found = find_split(drawn, ["bright", "dark"], "test")
    assert isinstance(found, BoxSplit)
    return found


@pytest.mark.parametrize("view", [View(), View(mirrored=True)], ids=View.describe)
def test_maps_are_those_of_the_image_and_boxes_lie_on_their_objects(
    split: BoxSplit, four: Path, tmp_path: Path, view: View
) -> None:
    classifier = load(four)
    model = body_of(classifier, split, 64)
    assert (model.detection.width, model.detection.height) == (64, 64)
    assert body_of(classifier, split, 130).detection.height == 96
    maps = image_maps(classifier, model, split, view, tmp_path / "maps.npy", QUIET)
    image = split.image(0)
    seen = image.transpose(0) if view.mirrored else image  # type: ignore[arg-type]
    crop = letterbox(seen, model.detection.width, model.detection.height, classifier.preprocessing).image
    with torch.inference_mode():
        expected = model.forward_maps(classifier.prepare([crop]))
    for name, x in zip(model.detection.levels, expected, strict=True):
        torch.testing.assert_close(maps.maps(0)[name], x[0], rtol=2e-3, atol=1e-4)  # in half precision
    inside = maps.seen(0, split.boxes[0]).xyxy[0].round().astype(int) + np.array([2, 2, -2, -2])
    assert np.ptp(crop[inside[1] : inside[3], inside[0] : inside[2]]) < 30  # nothing but the object
    again = image_maps(classifier, model, split, view, tmp_path / "maps.npy", QUIET)
    assert np.array_equal(again.rows, maps.rows)


def test_the_whole_image_is_what_the_letterbox_holds(split: BoxSplit, four: Path, tmp_path: Path) -> None:
    classifier = load(four)
    for view in (View(), View(mirrored=True)):
        model = body_of(classifier, split, 64)
        maps = image_maps(classifier, model, split, view, tmp_path / "m.npy", QUIET)
        assert maps.whole(0)[0].tolist() == [0, 0, 64, 48]
    there = maps.seen(0, Boxes.of([[0, 0, 32, 96]], [0])).xyxy[0]
    assert there.tolist() == [48, 0, 64, 48]
