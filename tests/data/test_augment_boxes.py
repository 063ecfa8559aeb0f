"""Boxes stay on their objects, whatever happens to the image."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.data.augment_boxes import BoxDataset, Place, as_targets, random_place
from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.sources.folder import Folder
from inceptorch.data.string_array import Files, StringArray
from inceptorch.images.boxes import Boxes
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.networks.detection import DetectionHead

PIXELS = default_preprocessing(96)
HEAD = DetectionHead(("a",), 96, 64)
STILL = AugmentationConfig(hflip=0.0, zoom=(1.0, 1.0))
BOX = (50, 20, 110, 70)  # of an image of 160 x 100


def with_white_box(size: tuple[int, int] = (160, 100), box: tuple[int, int, int, int] = BOX) -> Image.Image:
    image = Image.new("RGB", size)
    image.paste((255, 255, 255), box)
    return image


def white(array: np.ndarray) -> list[float]:
    """The box around what is white, which the filter blurs; not around the mean color beside the image."""
    rows, columns = np.nonzero(array.min(2) > 160)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.fixture
def split(tmp_path: Path) -> BoxSplit:
    names = ["0.png", "1.png"]
    for name in names:
        with_white_box().save(tmp_path / name)
    boxes = Boxes.of([BOX, (0, 0, 160, 100)], [1, 0], crowd=[False, True])
    files = Files.of_names(StringArray(names))
    return BoxSplit(
        "train", str(tmp_path), Folder(tmp_path), ("a", "b"), files, np.zeros(2, np.int32),
        boxes=(boxes, Boxes()), sizes=np.array([[160, 100]] * 2, np.int32),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_a_box_goes_with_its_object(seed: int) -> None:
    draw = random.Random(seed)
    place = random_place((160, 100), (96, 64), AugmentationConfig(zoom=(0.5, 1.2)), draw)
    array = place.image(with_white_box(), (96, 64), PIXELS, 0.0, draw)
    assert array.shape == (64, 96, 3)
    found = place.boxes(Boxes.of([BOX], [0]), (96, 64))
    if len(found):
        np.testing.assert_allclose(white(array), found.xyxy[0], atol=1.6)


def test_places_differ_in_side_size_and_position() -> None:
    places = [random_place((160, 100), (96, 64), AugmentationConfig(), random.Random(seed)) for seed in range(60)]
    fitting = 0.6
    scales = [place.scale / fitting for place in places]
    assert 0.7 <= min(scales) < 0.8
    assert 1.3 < max(scales) <= 1.5
    assert 15 < sum(place.mirrored for place in places) < 45
    small, large = ([p.offset[0] for p in places if (p.scale < fitting) == which] for which in (True, False))
    assert min(small) >= 0 > max(large)  # within the canvas where there is room, else over its edges


def test_without_augmentation_an_image_lies_as_in_prediction(split: BoxSplit) -> None:
    image, boxes, index = BoxDataset(split, HEAD, PIXELS, AugmentationConfig(), 0, augment=False)[0]
    assert index == 0
    assert boxes.labels.tolist() == [1]  # the crowd is no box to find
    assert boxes.xyxy[0].tolist() == pytest.approx([30, 12, 66, 42])
    np.testing.assert_allclose(white(image.permute(1, 2, 0).numpy()), boxes.xyxy[0], atol=1.6)
    assert np.unique(image[:, 60:].flatten(1).T, axis=0).tolist() == [[124, 116, 104]]


def test_what_is_hardly_seen_or_under_a_pixel_is_no_box() -> None:
    place = Place(False, (100, 100), 1.0, (-50.0, 0.0))
    edges = [(0, 0, 80, 50), (0, 0, 88, 50), (60, 60, 60.5, 90)]  # 37.5 % and 43 % of the first two are seen
    assert place.boxes(Boxes.of(edges, [0, 1, 2]), (96, 64)).labels.tolist() == [1]


def test_tiny_boxes_are_no_targets(split: BoxSplit) -> None:
    tiny = replace(split, boxes=(Boxes.of([(0, 0, 1, 50), BOX], [0, 1]), Boxes()))
    assert BoxDataset(tiny, HEAD, PIXELS, STILL, 0)[0][1].labels.tolist() == [1]


def test_an_image_is_the_same_for_the_same_epoch_alone(split: BoxSplit) -> None:
    data = BoxDataset(split, HEAD, PIXELS, AugmentationConfig(color_jitter=0.3), seed=5)
    first, again = data[0], data[0]
    assert (first[0] == again[0]).all()
    assert (first[1].xyxy == again[1].xyxy).all()
    assert (data.boxes_of(0).xyxy == first[1].xyxy).all()
    data.epoch = 1
    assert not (first[0] == data[0][0]).all()


def test_a_batch_has_its_boxes_in_rows(split: BoxSplit) -> None:
    images, targets, indices = BoxDataset(split, HEAD, PIXELS, STILL, 0, augment=False).__getitems__([1, 0])
    assert images.shape == (2, 3, 64, 96)
    assert indices.tolist() == [1, 0]
    assert targets[0, 0, 0] == -1
    assert targets[1, 0].tolist() == pytest.approx([1, 30, 12, 66, 42])
    assert as_targets([Boxes(), Boxes()]).shape == (2, 0, 5)
