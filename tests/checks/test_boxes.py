"""Faults of boxes: every planted one is found, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from inceptorch.checks import check, page
from inceptorch.checks.boxes import draw_boxes
from inceptorch.errors import DataError
from inceptorch.images.boxes import Boxes
from inceptorch.inference.draw_boxes import color_of
from tests.checks.helpers import QUIET, Found, Scenes, bytes_of, found_in
from tests.data.annotations.helpers import Row, xml
from tests.helpers import ParsedPage, invoke

SIZE = (120, 96)


class PlantedBoxes:
    """A folder of images with boxes, without a fault at first."""

    def __init__(self, root: Path):
        self.root = root
        self.scenes = Scenes()
        self.expected: Found = {}
        for number in range(10):
            self.write(f"train/{number}", [("cat", 10, 10, 60, 60), ("dog", 50 + number, 20, 110, 90)])
        self.write("val/0", [("cat", 30, 30, 80, 80), ("dog", 5, 5, 50, 70)])

    def write(self, name: str, rows: list[Row], size: tuple[int, int] = SIZE, **options: Any) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".jpg").write_bytes(bytes_of(self.scenes.next(), **options))
        path.with_suffix(".xml").write_text(xml(path.name, size, rows))

    def expect(self, kind: str, file: str) -> None:
        self.expected.setdefault(kind, set()).add(frozenset([file]))

    def plant(self) -> None:
        whole, good = ("cat", 0, 0, 119, 95), ("cat", 20, 20, 70, 70)
        self.write("train/outside", [("cat", 20, 20, 170, 70)])
        self.write("train/invalid", [("cat", 20, 20, 20, 70), good])
        self.write("train/nameless", [("", 20, 20, 70, 70)])
        self.write("train/whole", [whole])
        self.write("train/twice", [good, ("cat", 20, 20, 70, 71), ("dog", 20, 20, 70, 70)])
        # 120 pixels are shown as 640, so 1.4 as 7.5 and 0.15 as 0.8.
        self.write("train/small", [("cat", 20, 20, 21.4, 40), ("dog", 20, 20, 21.6, 40)])
        self.write("train/thin", [("cat", 20, 20, 20.15, 40), ("dog", 20, 20, 20.2, 21.6)])
        self.write("train/other", [good], (640, 480))
        exif = Image.Exif()
        exif[0x0112] = 3
        self.write("train/turned", [good], exif=exif)
        self.write("train/damaged", [good])
        (self.root / "train/damaged.xml").write_text("<annotation>")
        self.write("val/lost", [good])
        (self.root / "val/lost.jpg").unlink()
        self.write("val/bare", [good])
        (self.root / "val/bare.xml").unlink()
        self.write("val/unreadable", [good])
        (self.root / "val/unreadable.jpg").write_bytes(b"no image")
        self.write("val/new", [("owl", 20, 20, 70, 70)])
        for number in range(9):
            self.write(f"train/rare{number}", [("fox", 20, 20, 70, 70)])
        for kind, file in [
            ("box-outside", "train/outside.xml"),
            ("invalid-box", "train/invalid.xml"),
            ("unknown-class", "train/nameless.xml"),
            ("full-box", "train/whole.jpg"),
            ("duplicate-boxes", "train/twice.jpg"),
            ("small-box", "train/small.jpg"),
            ("small-box", "train/thin.jpg"),
            ("thin-box", "train/thin.jpg"),
            ("size-mismatch", "train/other.xml"),
            ("box-orientation", "train/turned.jpg"),
            ("rotated", "train/turned.jpg"),
            ("invalid-annotation", "train/damaged.xml"),
            ("missing-image", "val/lost.xml"),
            ("missing-annotation", "val/bare.jpg"),
            ("unreadable", "val/unreadable.jpg"),
        ]:
            self.expect(kind, file)
        self.expected["small-class"] = {frozenset([f"{self.root}: fox"])}
        self.expected["missing-in-val"] = {frozenset([f"{self.root}: fox"])}
        self.expected["missing-in-train"] = {frozenset([f"{self.root}: owl"])}


@pytest.fixture
def planted_boxes(tmp_path: Path, home: Path) -> PlantedBoxes:
    return PlantedBoxes(tmp_path / "data")


def test_every_fault_of_boxes_is_found_and_none_invented(planted_boxes: PlantedBoxes, tmp_path: Path) -> None:
    planted_boxes.plant()
    findings = check(planted_boxes.root, progress=QUIET)
    assert found_in(findings, planted_boxes.root) == planted_boxes.expected
    notes = {(one.kind, Path(one.files[0]).name): one.note for one in findings.items}
    assert notes["box-outside", "outside.xml"].startswith("object 1 ('cat') reaches 50 pixels out of the image")
    assert notes["small-box", "small.jpg"] == "has 1 box below 8 pixels, the smallest of 1.4x20"
    assert notes["thin-box", "thin.jpg"] == "has 1 box below 1 pixel, the smallest of 0.15x20"
    assert notes["small-box", "thin.jpg"] == "has 1 box below 8 pixels, the smallest of 0.2x1.6"
    assert notes["duplicate-boxes", "twice.jpg"] == "has 1 box more than once"
    assert notes["full-box", "whole.jpg"] == "has 1 box around all of it"
    shown = {one.kind for one in findings.items if one.indices}
    assert shown >= {"box-outside", "invalid-box", "unknown-class", "size-mismatch", "box-orientation", "full-box"}
    for one in findings.items:
        for index in one.indices:
            assert Path(findings.scan.file(index)).stem == Path(one.files[0]).stem


def test_boxes_without_faults_are_safe_and_described(planted_boxes: PlantedBoxes) -> None:
    result = invoke("check", planted_boxes.root, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (answer["safe"], answer["findings"], answer["classes"]) == (True, [], 2)
    assert answer["boxes"] == {"train": {"cat": 10, "dog": 10}, "val": {"cat": 1, "dog": 1}}
    lines = page.lines(check(planted_boxes.root, progress=QUIET))
    assert lines[0] == "train: 20 boxes of 2 classes: 'cat' 10, 'dog' 10"
    # The square root of 50 x 50 at a long side of 640 instead of 120 is 267.
    assert lines[1] == (
        "train: 2 to 2 boxes on an image, 2.0 on average; sizes in pixels at a long side of 640: below 8: 0, "
        "8 to 16: 0, 16 to 32: 0, 32 to 64: 0, 64 to 128: 0, 128 to 256: 0, 256 and more: 20"
    )


def test_small_objects_on_a_plain_image_are_something(tmp_path: Path) -> None:
    for name, brightness in (("small", 255), ("plain", 10)):
        image = Image.new("RGB", (1000, 800), (10, 10, 10))
        image.paste((brightness,) * 3, (100, 100, 108, 108))
        image.save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.xml").write_text(xml(name, image.size, [("cat", 100, 100, 108, 108)]))
    blank = [one.files for one in check(tmp_path, progress=QUIET).items if one.kind == "blank"]
    assert blank == [(str(tmp_path / "plain.png"),)]
    (tmp_path / "small.xml").write_text(xml("small", (1000, 800), []))  # without a box it is blank, too
    assert len([one for one in check(tmp_path, progress=QUIET).items if one.kind == "blank"]) == 2


def test_the_same_image_in_two_splits_has_no_label(planted_boxes: PlantedBoxes) -> None:
    for suffix in (".jpg", ".xml"):
        copied = (planted_boxes.root / "train/3").with_suffix(suffix)
        (planted_boxes.root / "val/copy").with_suffix(suffix).write_bytes(copied.read_bytes())
    (one,) = check(planted_boxes.root, progress=QUIET).items
    assert (one.kind, one.note) == ("duplicates-across-splits", "the same file, in train and val")


def test_the_page_shows_boxes(planted_boxes: PlantedBoxes) -> None:
    planted_boxes.plant()
    html = page.html(check(planted_boxes.root, progress=QUIET))
    parsed = ParsedPage(html)
    assert parsed.open == []
    assert "Images from all over the data. ■ cat ■ dog ■ fox ■ owl" in re.sub(r"\s+", " ", parsed.text)
    assert html.count("<img src") >= page.MAX_SAMPLES
    assert "thin-box" in parsed.text


def test_boxes_are_drawn_where_they_are() -> None:
    image = Image.new("RGB", (400, 200), "white")
    boxes = Boxes.of([[100, 50, 300, 150], [0, 0, 400, 200]], [0, 1])
    drawn = np.asarray(draw_boxes(image, boxes, 200))
    assert drawn.shape == (100, 200, 3)
    colors = [ImageColor.getrgb(color_of(label)) for label in (0, 1)]
    for color, (left, top, right, bottom) in zip(colors, [(50, 25, 150, 75), (0, 0, 200, 100)], strict=True):
        found = np.argwhere((drawn == color).all(-1))
        assert (*found.min(0), *(found.max(0) + 1)) == (top, left, bottom, right)
    assert (drawn[50, 100] == 255).all()


def test_a_model_cannot_doubt_boxes(planted_boxes: PlantedBoxes) -> None:
    with pytest.raises(DataError, match="Cannot look for doubtful labels in .*: its images have boxes. Try without"):
        check(planted_boxes.root, model="none", progress=QUIET)


def test_data_without_a_usable_box_is_checked(planted_boxes: PlantedBoxes) -> None:
    for path in planted_boxes.root.rglob("*.xml"):
        path.write_text("{}")
    findings = check(planted_boxes.root, progress=QUIET)
    assert findings.counts()["error"] == 12
    assert [one.note for one in findings.items if one.kind == "nothing-to-train-on"] == ["has no boxes"]
    assert "train: no boxes" in page.lines(findings)


def test_labels_index_the_classes_of_all_splits(planted_boxes: PlantedBoxes) -> None:
    """A split that lacks a class numbers the others differently."""
    planted_boxes.write("val/0", [("owl", 20, 20, 70, 70)])
    scan = check(planted_boxes.root, progress=QUIET).scan
    assert scan.classes == ("cat", "dog", "owl")
    shown = {Path(scan.file(index)).parent.name: scan.boxes(index) for index in (0, len(scan) - 1)}
    assert {split: boxes.labels.tolist() for split, boxes in shown.items() if boxes} == {"train": [0, 1], "val": [2]}
    assert scan.labels.tolist() == [0] * len(scan)
