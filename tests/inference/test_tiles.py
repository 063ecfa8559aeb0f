"""Large images in tiles."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import inceptorch
from inceptorch.errors import ProtocolError
from inceptorch.images.boxes import Boxes, iou
from inceptorch.inference.boxes import BoxPredictor
from inceptorch.inference.engines import Engine, EngineOutput, open_engine
from inceptorch.inference.tiles import OVERLAP, is_cut, merged, tiles_of
from tests.helpers import detector
from tests.inference.helpers import save

WIDE, TALL = 96, 64  # of the network's images


class BrightRectangles(Engine):
    """Finds the rectangle of every value from 125 on, of class 1 if it is odd. The score is the value, in 255."""

    name = "torch"

    def __init__(self) -> None:
        classifier = detector()
        super().__init__(classifier.config, classifier, "fp32", 3)
        self.sizes: list[int] = []

    def run(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        raise NotImplementedError

    def detect(self, images: NDArray[np.uint8]) -> list[Boxes]:
        assert images.shape[1:] == (TALL, WIDE, 3)
        self.sizes.append(len(images))
        found = []
        for image in images:
            values = [value for value in np.unique(image[..., 0]) if value > 124 and _is_solid(image[..., 0] == value)]
            boxes = [_extent(image[..., 0] == value) for value in values]
            scores = np.array(values, float) / 255
            order = np.argsort(-scores)
            found.append(Boxes.of(np.array(boxes).reshape(-1, 4)[order], np.array(values)[order] % 2, scores[order]))
        return found


def _is_solid(where: NDArray[np.bool_]) -> bool:
    """Whether it is a rectangle, and not what resizing leaves at the edges of several."""
    left, top, right, bottom = _extent(where)
    return bool(where[top:bottom, left:right].all())


def _extent(where: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.nonzero(where)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def find(image: NDArray[np.uint8], tile_above: float | None = 0.3) -> Boxes:
    (prediction,) = BoxPredictor(BrightRectangles(), tile_above=tile_above).stream([Image.fromarray(image)])
    assert prediction.size == image.shape[1::-1]
    return prediction.boxes


def canvas(width: int, height: int, *rectangles: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Black, with a rectangle (left, top, right, bottom) for each value from 130 on."""
    image = np.zeros((height, width, 3), np.uint8)
    for value, (left, top, right, bottom) in enumerate(rectangles, 130):
        image[top:bottom, left:right] = value
    return image


@pytest.mark.parametrize("size", [(97, 64), (500, 333), (96, 1000), (5000, 70), (1, 65)])
def test_tiles_cover_the_image_and_overlap(size: tuple[int, int]) -> None:
    tiles = np.array(list(tiles_of(*size, WIDE, TALL)))
    covered = np.zeros((size[1], size[0]), np.bool_)
    for left, top, right, bottom in tiles:
        assert (right - left, bottom - top) == (min(WIDE, size[0]), min(TALL, size[1]))
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        covered[top:bottom, left:right] = True
    assert covered.all()
    for axis, (tile, length) in enumerate(zip((WIDE, TALL), size, strict=True)):
        starts = np.unique(tiles[:, axis])
        assert np.diff(starts).max(initial=0) <= tile * (1 - OVERLAP) + 1
        assert len(starts) <= 1 + np.ceil(max(0, length - tile) / (tile * (1 - OVERLAP)))
    assert len(list(tiles_of(96, 64, WIDE, TALL))) == 1


def test_every_object_of_a_sewn_image_is_found_once_and_whole() -> None:
    random = np.random.default_rng(0)
    rectangles = []
    for row in range(8):
        for column in range(8):
            x, y, wide, tall = (int(each) for each in random.integers([0, 0, 4, 4], [16, 14, 24, 16]))
            left, top = 40 * column + x, 30 * row + y
            rectangles.append((left, top, left + wide, top + tall))
    image = canvas(320, 240, *rectangles)
    found = find(image)
    assert len(found) == 64
    assert found.xyxy[np.argsort(found.scores)].tolist() == [list(map(float, each)) for each in rectangles]
    assert (np.diff(found.scores) <= 0).all()
    reduced = find(image, tile_above=None)
    assert iou(reduced.xyxy, np.array(rectangles, float)).max(0).min() < 0.9  # without tiles, they are too small


def test_an_object_larger_than_any_tile_is_found_in_the_whole_image() -> None:
    found = find(canvas(400, 300, (20, 10, 380, 290), (2, 2, 10, 8)))
    assert len(found) == 2
    assert found.xyxy[1] == pytest.approx([20, 10, 380, 290], abs=5)
    assert found.xyxy[0].tolist() == [2, 2, 10, 8]


def test_an_image_that_is_no_larger_is_taken_whole() -> None:
    image = canvas(90, 60, (5, 5, 30, 30), (40, 10, 80, 50))
    assert find(image).xyxy.tolist() == find(image, tile_above=None).xyxy.tolist()


def test_batches_are_no_larger_than_the_engine_takes() -> None:
    engine = BrightRectangles()
    list(BoxPredictor(engine, tile_above=0.3).stream([Image.fromarray(canvas(320, 240))] * 2))
    assert max(engine.sizes) == 3
    assert sum(engine.sizes) == 2 * (1 + len(list(tiles_of(320, 240, WIDE, TALL))))


def test_whole_boxes_come_before_cut_ones_of_a_higher_score() -> None:
    boxes = Boxes.of(
        [[0, 0, 100, 40], [0, 0, 50, 40], [0, 0, 50, 40], [45, 0, 90, 40], [200, 0, 250, 40]],
        [0, 0, 1, 0, 0],
        [0.5, 0.9, 0.8, 0.7, 0.6],
    )
    cut = np.array([False, True, True, False, True])
    # Of class 0 the first covers the second, which is cut, but not the fourth, which is whole; nothing covers the last.
    assert merged(boxes, cut).scores.tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5])
    assert merged(boxes, np.zeros(5, np.bool_)).scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert len(merged(Boxes(), np.zeros(0, np.bool_))) == 0


def test_a_box_is_cut_where_its_tile_ends_and_the_image_goes_on() -> None:
    boxes = Boxes.of([[0, 5, 8, 8], [90, 5, 95, 8], [9, 0, 20, 64], [9, 5, 20, 30]], [0] * 4)
    assert is_cut(boxes, (0, 0, 96, 64), (200, 64)).tolist() == [False, True, False, False]
    assert is_cut(boxes.moved(left=104), (104, 0, 200, 64), (200, 300)).tolist() == [True, False, True, False]


def test_boxes_below_the_threshold_hide_no_cut_ones() -> None:
    engine = BrightRectangles()
    image = Image.fromarray(canvas(150, 60, (80, 10, 96, 30)))
    for above, count in ((0.3, 1), (0.6, 0)):  # the score is 130 / 255
        (prediction,) = BoxPredictor(engine, tile_above=above).stream([image])
        assert len(prediction.boxes) == count


def test_tiles_of_a_network_are_the_images_that_they_would_be_alone(tmp_path: Path) -> None:
    detector().save(tmp_path / "cells")
    engine = open_engine(tmp_path / "cells", "torch", batch_size=4)
    pixels = np.random.default_rng(0).integers(0, 256, (150, 230, 3), dtype=np.uint8)
    (entry,) = inceptorch.predict(engine, pixels, tile=True, min_confidence=0.6)
    alone = []
    for left, top, right, bottom in tiles_of(230, 150, WIDE, TALL):
        (one,) = inceptorch.predict(engine, pixels[top:bottom, left:right], min_confidence=0.6)
        for box in one["boxes"]:
            x, y, wide, tall = box["box"]
            alone.append([box["index"], left + x, top + y, wide, tall, box["score"]])
    sides = OVERLAP * np.array([WIDE, TALL])
    small = [box for box in entry["boxes"] if box["box"][2] <= sides[0] and box["box"][3] <= sides[1]]
    assert len(entry["boxes"]) > 10
    assert small
    for box in small:
        distances = np.abs(np.array(alone) - [box["index"], *box["box"], box["score"]])
        assert (distances < [0.5, *[0.1] * 4, 1e-4]).all(1).any()
    with pytest.raises(ProtocolError, match="Cannot use tile with a classifier"):
        inceptorch.predict(save(tmp_path / "tiny", 0), pixels, tile=True)


def test_a_huge_image_is_given_up_within_batches_of_tiles_at_ctrl_c() -> None:
    searching = Event()

    class Slow(BrightRectangles):
        def detect(self, images: NDArray[np.uint8]) -> list[Boxes]:
            self.sizes.append(len(images))
            searching.set()
            time.sleep(0.005)  # else all of it would be searched before Ctrl-C
            return [Boxes()] * len(images)

    def images() -> Iterator[Image.Image]:
        yield Image.fromarray(canvas(4000, 4000))
        assert searching.wait(10)
        raise KeyboardInterrupt

    engine = Slow()
    with pytest.raises(KeyboardInterrupt):
        list(BoxPredictor(engine, batch_size=3, tile_above=0.3).stream(images()))
    assert len(list(tiles_of(4000, 4000, WIDE, TALL))) > 3 * 1000
    assert len(engine.sizes) < 100
