"""A split of images with boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inceptorch.data import BoxSplit, Problem, fingerprint, subsample_per_class, without_unreadable
from inceptorch.data.box_split import describe_problems
from inceptorch.errors import DataError
from inceptorch.utils.progress import Progress
from tests.data.annotations.helpers import only_split, rows_of, write_coco, write_voc

QUIET = Progress(quiet=True)


@pytest.fixture
def split(tmp_path: Path) -> BoxSplit:
    return only_split(write_voc(tmp_path / "data"))


def test_boxes_stay_with_their_images(split: BoxSplit) -> None:
    chosen = split.select([3, 0])
    assert list(rows_of(chosen)) == ["d", "a"]
    assert rows_of(chosen) == {name: rows_of(split)[name] for name in "da"}
    assert chosen.sizes.tolist() == [[32, 64], [64, 48]]
    assert chosen.counts() == {"cat": 3, "dog": 1, "owl": 0}
    assert len(subsample_per_class(split, 2, seed=0)) == 2


def test_classes_are_described_by_their_boxes(split: BoxSplit) -> None:
    assert split.describe() == "8 boxes of 3 classes: 'cat' 4, 'dog' 2, 'owl' 2; 1 image without boxes"
    assert split.select([1]).with_classes(("owl",)).describe() == "1 boxes of 1 class: 'owl' 1"


def test_the_fingerprint_depends_on_every_box(split: BoxSplit, tmp_path: Path) -> None:
    before = fingerprint(split)
    assert fingerprint(only_split(tmp_path / "data")) == before
    assert fingerprint(split.with_classes(("owl", "cat", "more", "dog"))) == before
    # The size of the file of an image is the same, and that of the text too.
    for old, new in ((">24<", ">25<"), ("dog", "cow"), (">0</difficult>", ">1</difficult>")):
        file = tmp_path / "data" / "Annotations" / "a.xml"
        text = file.read_text()
        file.write_text(text.replace(old, new, 1))
        assert fingerprint(only_split(tmp_path / "data")) != before
        file.write_text(text)
    assert fingerprint(only_split(tmp_path / "data")) == before


def test_an_unreadable_image_is_left_out_with_its_boxes(split: BoxSplit, tmp_path: Path) -> None:
    path = tmp_path / "data" / "JPEGImages" / "d.png"
    path.write_bytes(path.read_bytes()[:200])
    kept, skipped = without_unreadable(split, QUIET)
    assert [Path(one["file"]).name for one in skipped] == ["d.png"]
    assert isinstance(kept, BoxSplit)
    assert rows_of(kept) == {name: rows for name, rows in rows_of(split).items() if name != "d"}


def test_a_class_without_boxes_need_not_be_readable(tmp_path: Path) -> None:
    """Its number may be that of the label of every image."""
    split = only_split(write_coco(tmp_path)).with_classes(("none", "owl", "cat", "dog"))
    path = tmp_path / "images" / "d.png"
    path.write_bytes(path.read_bytes()[:200])
    assert len(without_unreadable(split, QUIET)[0]) == 4


def test_a_class_may_not_lose_all_of_its_boxes(split: BoxSplit, tmp_path: Path) -> None:
    for name in "be":  # all owls
        path = tmp_path / "data" / "JPEGImages" / f"{name}.png"
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="No image of class 'owl' can be read; .*b.png is "):
        without_unreadable(split, QUIET)


def test_problems_are_counted_by_what_is_lost(split: BoxSplit) -> None:
    problems = (
        Problem("a.xml", "object 2 ('dog') has no area", "invalid-box", "box"),
        Problem("a.xml", "object 3 ('dog') has no area", "invalid-box", "box"),
        Problem("b.xml", "object 1 ('dog') has no area", "invalid-box", "box"),
        Problem("c.xml", "is not XML: no element found", "invalid-annotation", "image"),
        Problem("d.xml", "declares an image of 0x0 pixels", "size-mismatch"),
    )
    splits = [replace(split, problems=problems[:2]), replace(split, problems=problems[2:])]
    assert list(describe_problems(splits)) == [
        "left out 3 boxes for faults in 2 files, first a.xml object 2 ('dog') has no area",
        "left out 1 image for faults in 1 file, first c.xml is not XML: no element found",
    ]
    assert list(describe_problems([split])) == []


def test_an_image_has_no_class_itself(split: BoxSplit) -> None:
    assert split.labels.dtype == np.int32
    assert [split.classes_in(index) for index in range(3)] == [["cat", "dog"], ["owl"], []]
    assert dict(split.by_class()) == {"": [0, 1, 2, 3, 4]}
