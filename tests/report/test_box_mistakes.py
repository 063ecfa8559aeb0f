"""The mistakes of a detector: counts, the order of images, and boxes in pixels of the thumbnails."""

from __future__ import annotations

from pathlib import Path

from inceptorch.evaluation.boxes import BoxEvaluation, evaluation_of
from inceptorch.images.boxes import Boxes
from inceptorch.report.box_mistakes import IMAGE_SIZE, MAX_IMAGES, MAX_MARKS, mistake_report
from tests.report.helpers import box_split

CAT, FAR = [0.0, 0, 200, 200], [600.0, 400, 640, 480]


def evaluation(tmp_path: Path) -> BoxEvaluation:
    """640x480 images with a cat each: right and found again, missed, poorly placed and false, confused for a dog; the
    last without an object."""
    truths = [Boxes.of([CAT], [0]) for _ in range(4)] + [Boxes()]
    found = [
        Boxes.of([CAT, [0.0, 0, 200, 180]], [0, 0], [0.9, 0.6]),
        Boxes(),
        Boxes.of([[100.0, 0, 300, 200], FAR], [0, 0], [0.8, 0.7]),
        Boxes.of([CAT, FAR], [1, 1], [0.5, 0.1]),
        Boxes.of([FAR], [1], [0.2]),
    ]
    return evaluation_of(found, box_split(tmp_path, truths), [])


def test_the_worst_image_comes_first(tmp_path: Path) -> None:
    one = evaluation(tmp_path)
    report = mistake_report(one, 0.3)
    assert {kind.key: count for kind, count in report.counts} == {
        "missed": 3,
        "false": 1,
        "confused": 1,
        "misplaced": 1,
        "duplicate": 1,
        "right": 1,
    }
    assert [Path(image.file).name for image in report.worst] == ["val02.png", "val03.png", "val01.png", "val00.png"]
    assert report.images_with_mistakes == 4  # the last one's false box has too low a score
    assert mistake_report(one, 0.1).images_with_mistakes == 5


def test_boxes_are_scaled_with_the_thumbnail_and_named(tmp_path: Path) -> None:
    worst, confused, *_ = mistake_report(evaluation(tmp_path), 0.3).worst
    assert worst.size == (IMAGE_SIZE, IMAGE_SIZE * 3 // 4)
    assert worst.uri is not None
    assert worst.uri.startswith("data:image/jpeg;base64,")
    marks = {mark.kind.key: mark for mark in worst.marks}
    missed, misplaced, false = (marks[key] for key in ("missed", "misplaced", "false"))
    assert (missed.left, missed.top, missed.width, missed.height) == (0, 0, 100, 100)
    assert (misplaced.left, misplaced.width, misplaced.tip) == (50, 100, "poorly placed: cat, 80%")
    assert (false.left, false.top, false.width, false.height) == (300, 200, 20, 40)
    assert worst.marks[-1] is false  # the smallest lies on top
    assert [(kind.key, count, names) for kind, count, names in confused.lines] == [
        ("missed", 1, "cat"),
        ("confused", 1, "dog for cat"),
    ]


def test_images_and_boxes_are_bounded(tmp_path: Path) -> None:
    truths = [Boxes.of([CAT] * (MAX_MARKS + 5), [0] * (MAX_MARKS + 5)) for _ in range(MAX_IMAGES + 1)]
    one = evaluation_of([Boxes()] * len(truths), box_split(tmp_path, truths, size=(64, 64)), [])
    report = mistake_report(one, 0.3)
    assert report.images_with_mistakes == MAX_IMAGES + 1
    assert len(report.worst) == MAX_IMAGES
    assert len(report.worst[0].marks) == MAX_MARKS
    assert report.worst[0].left_out == 5
    assert report.worst[0].size == (64, 64)  # no image is enlarged
    assert report.worst[0].lines[0][1:] == (MAX_MARKS + 5, f"{MAX_MARKS + 5} cat")


def test_an_image_that_is_gone_keeps_its_caption(tmp_path: Path) -> None:
    one = evaluation(tmp_path)
    Path(one.split.file(2)).unlink()
    worst = mistake_report(one, 0.3).worst[0]
    assert worst.uri is None
    assert worst.lines
