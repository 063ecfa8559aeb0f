"""A hundred annotation files, each broken in its own way: each is named with its fault, and none ends the reading."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageOps

from inceptorch.data.annotations import base
from inceptorch.data.resolve import open_splits
from tests.data.annotations.helpers import IMAGES, WRITERS, coco, only_split, rows_of, write_image, write_voc, xml

EXPECTED = {name: rows for name, (_, rows) in IMAGES.items()}


class Broken(NamedTuple):
    """A file of a format with `old` replaced by `new`, and the fault as a regular expression."""

    format: str
    old: str
    new: str
    fault: str

    def bytes_of(self, data: bytes) -> bytes:
        assert self.old.encode() in data, self
        return data.replace(self.old.encode(), self.new.encode("utf-8", "surrogateescape"), 1)


FILES = {"voc": "Annotations/a.xml", "coco": "annotations/instances.json", "yolo": "labels/a.txt", "table": "boxes.csv"}
NO_AREA = r"\('dog'\) has no area"
OUTSIDE = r"\('dog'\) lies outside the image of 64x48 pixels"
REACHES = r"\('dog'\) reaches \S+ pixels out of the image of 64x48; it is clipped"
VOC = [
    Broken("voc", "<xmin>4<", "<xmin>24<", rf"object 1 {NO_AREA}: from \(24, 6\) to \(24, 30\)"),
    Broken("voc", "<xmin>4<", "<xmin>25<", NO_AREA),
    Broken("voc", "<ymin>6<", "<ymin>30<", NO_AREA),
    Broken("voc", "<ymax>30<", "<ymax>-30<", NO_AREA),
    Broken("voc", "<xmax>24<", "<xmax>4.0000001<", NO_AREA),
    Broken("voc", "<xmin>4<", "<xmin>nan<", r"object 1 \('dog'\) has a coordinate that is nan"),
    Broken("voc", "<xmin>4<", "<xmin>-inf<", "has a coordinate that is -inf"),
    Broken("voc", "<xmax>24<", "<xmax>1e999<", "has a coordinate that is inf"),
    Broken("voc", "<xmax>24<", "<xmax>1e300<", REACHES),
    Broken("voc", "<xmax>24<", "<xmax><", "has '' as xmax, which is no number"),
    Broken("voc", "<xmax>24</xmax>", "", "has '' as xmax, which is no number"),
    Broken("voc", "<xmax>24<", "<xmax>twelve<", "has 'twelve' as xmax, which is no number"),
    Broken("voc", "<xmax>24<", "<xmax>2_4<", "has '2.4' as xmax, which is no number"),
    Broken("voc", "<xmax>24<", "<xmax>24,5<", "has '24,5' as xmax, which is no number"),
    Broken("voc", "<xmax>24<", "<xmax>0x18<", "has '0x18' as xmax, which is no number"),
    Broken("voc", "<xmax>24<", "<xmax>" + "9" * 5000 + "<", "has a coordinate that is inf"),
    Broken("voc", "<xmin>4</xmin><ymin>6</ymin><xmax>24<", "<xmin>64</xmin><ymin>6</ymin><xmax>90<", OUTSIDE),
    Broken("voc", "<xmin>4</xmin><ymin>6</ymin><xmax>24<", "<xmin>-90</xmin><ymin>6</ymin><xmax>0<", OUTSIDE),
    Broken("voc", "<ymin>6</ymin><xmax>24</xmax><ymax>30<", "<ymin>48</ymin><xmax>24</xmax><ymax>99<", OUTSIDE),
    Broken("voc", "<xmax>24<", "<xmax>240<", REACHES),
    Broken("voc", "<xmin>4<", "<xmin>-4<", "reaches 4 pixels out of the image"),
    Broken("voc", "<name>dog<", "<name><", "object 1 has no class"),
    Broken("voc", "<name>dog</name>", "", "has no class"),
    Broken("voc", "<name>dog<", "<name>  \n <", "has no class"),
    Broken("voc", "<name>dog<", f"<name>{'d' * 2000}<", "whose name is no text, or too long"),
    Broken("voc", "<bndbox>", "<box>", "is not XML: mismatched tag"),
    Broken("voc", "bndbox>", "polygon>", "is not XML: mismatched tag"),
    Broken(
        "voc",
        "<bndbox><xmin>4</xmin><ymin>6</ymin><xmax>24</xmax><ymax>30</ymax></bndbox>",
        "<robndbox><cx>4</cx></robndbox>",
        "has no <bndbox>",
    ),
    Broken("voc", "</annotation>", "", "is not XML: no element found"),
    Broken("voc", "<annotation>", "", "is not XML: junk after document element"),
    Broken("voc", "<annotation>", "<annotation>&unknown;", "is not XML: undefined entity"),
    Broken("voc", "<annotation>", "<annotation>\x00", "is not XML"),
    Broken("voc", "<annotation>", "<annotation>\udcff", "is not XML"),
    Broken("voc", "<annotation>", '<?xml version="1.0" encoding="gb2312"?><annotation>', "is not XML: multi-byte"),
    Broken("voc", "<annotation>", '<?xml version="1.0" encoding="nonsense"?><annotation>', "is not XML: unknown enc"),
    Broken("voc", "<annotation>", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation>', "declares a document type"),
    Broken("voc", "<annotation>", '<!DOCTYPE a [<!ENTITY b "b">]><annotation>', "declares a document type"),
    Broken("voc", "<annotation>", "<annotation>" + " " * 4_000_001, "has more than 4 MB"),
    Broken("voc", "<annotation>", "<annotation>" + "<a>" * 900_000, "is not XML: mismatched tag"),
    Broken("voc", xml("a", *IMAGES["a"]), "<html></html>", "is not an annotation of Pascal VOC: it begins with <html>"),
    Broken("voc", xml("a", *IMAGES["a"]), "", "is not XML: no element found"),
    Broken("voc", xml("a", *IMAGES["a"]), "{}", "is not XML: not well-formed"),
    Broken("voc", "<width>64<", "<width>640<", "declares an image of 640x48 pixels, which has 64x48"),
    Broken("voc", "<width>64</width><height>48<", "<width>0</width><height>0<", "declares an image of 0x0 pixels"),
    Broken("voc", "<height>48<", "<height>64<", "declares an image of 64x64 pixels, which has 64x48"),
]
COCO = [
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, 0, 24]", rf"annotation 1 {NO_AREA}: from \(4, 6\) to \(4, 30\)"),
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, 20, -24]", NO_AREA),
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, 20]", "annotation 1 has a bbox of 3 numbers instead of 4"),
    Broken("coco", "[4, 6, 20, 24]", "[]", "has a bbox of 0 numbers"),
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, 20, 24, 1]", "has a bbox of 5 numbers"),
    Broken("coco", "[4, 6, 20, 24]", "null", "annotation 1 cannot be used: Expected `array`, got `null` - at `"),
    Broken("coco", "[4, 6, 20, 24]", '"4 6 20 24"', "annotation 1 cannot be used: Expected `array`, got `str`"),
    Broken("coco", "[4, 6, 20, 24]", '["4", 6, 20, 24]', "annotation 1 cannot be used: Expected `float`, got `str`"),
    Broken("coco", "[4, 6, 20, 24]", "[[4, 6, 20, 24]]", "annotation 1 cannot be used: Expected `float`, got `array`"),
    Broken("coco", "[4, 6, 20, 24]", "[NaN, 6, 20, 24]", "annotation 1 cannot be used: Number out of range"),
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, Infinity, 24]", "annotation 1 cannot be used: Number out of range"),
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, 1e999, 24]", "annotation 1 cannot be used: Number out of range"),
    Broken("coco", "[4, 6, 20, 24]", "[1e308, 6, 1.7e308, 24]", "has a coordinate that is inf"),
    Broken("coco", "[4, 6, 20, 24]", "[400, 6, 20, 24]", OUTSIDE),
    Broken("coco", "[4, 6, 20, 24]", "[4, 6, 200, 24]", REACHES),
    Broken("coco", ', "bbox": [4, 6, 20, 24]', "", "annotation 1 cannot be used: .* missing required field `bbox`"),
    Broken("coco", '"category_id": 7,', '"category_id": 8,', "annotation 1 is of category 8, which is not listed"),
    Broken("coco", '"category_id": 7,', '"category_id": null,', "annotation 1 cannot be used: Expected `int | str`"),
    Broken("coco", '"image_id": 100,', '"image_id": 999,', "annotation 1 is of an image with the id 999, which is not"),
    Broken("coco", '"image_id": 100, ', "", "annotation 1 cannot be used: .* missing required field `image_id`"),
    Broken("coco", '{"id": 7, "name": "dog"', '{"id": 7', "category 2 cannot be used: .* required field `name`"),
    Broken("coco", '"name": "dog"', '"name": ""', "annotation 1 has no class"),
    Broken("coco", '"name": "dog"', '"name": "\\ud800"', "JSON is malformed: unexpected end of hex escape"),
    Broken("coco", '"file_name": "a.png"', '"file_name": "lost.png"', r"image 1 \('lost.png'\) is not among the files"),
    Broken("coco", '"file_name": "a.png"', '"file_name": 5', "image 1 cannot be used: Expected `str`, got `int`"),
    Broken("coco", '"file_name": "b.png"', '"file_name": "a.png"', "annotates .*a.png again"),
    Broken("coco", '"id": 101', '"id": 100', r"image 2 \('b.png'\) has the id 100 of another"),
    Broken("coco", '"width": 64', '"width": 640', "declares an image of 640x48 pixels, which has 64x48"),
    Broken("coco", "]}", "]", "cannot be read as COCO's JSON: Input data was truncated"),
    Broken("coco", '"annotations": [', '"annotations": {', "cannot be read as COCO's JSON: Expected `array`"),
    Broken("coco", '"images": [', '"pictures": [', "cannot be read as COCO's JSON: .* missing required field `images`"),
    Broken("coco", '"info": {"year": 2020}', '"info": ' + "[" * 100_000, "cannot be read as COCO's JSON"),
    Broken("coco", '"name": "dog"', '"name": "\udcff"', "category 2 cannot be used"),
    Broken("coco", json.dumps(coco()), "", "cannot be read as COCO's JSON: Input data was truncated"),
    Broken("coco", json.dumps(coco()), "[]", "cannot be read as COCO's JSON: Expected `object`, got `array`"),
]
FIRST = "2 0.21875 0.375 0.3125 0.5\n"  # the dog of image a
YOLO = [
    Broken("yolo", FIRST, "3 0.2 0.3 0.3 0.5\n", r"line 1 \('3'\) is of class 3, of classes 0 to 2"),
    Broken("yolo", FIRST, "-1 0.2 0.3 0.3 0.5\n", "is of class -1, of classes 0 to 2"),
    Broken("yolo", FIRST, "1.5 0.2 0.3 0.3 0.5\n", "is of class 1.5, of classes 0 to 2"),
    Broken("yolo", FIRST, "nan 0.2 0.3 0.3 0.5\n", "is of class nan, of classes 0 to 2"),
    Broken("yolo", FIRST, "dog 0.2 0.3 0.3 0.5\n", "line 1 has 'dog' as class, which is no number"),
    Broken("yolo", FIRST, "2 0.2 0.3 0 0.5\n", f"line 1 {NO_AREA}"),
    Broken("yolo", FIRST, "2 0.2 0.3 0.3 -0.5\n", NO_AREA),
    Broken("yolo", FIRST, "2 0.2 0.3 0.3\n", "has 4 numbers instead of 5"),
    Broken("yolo", FIRST, "2\n", "has 1 numbers instead of 5"),
    Broken("yolo", FIRST, "2 0.2 0.3 0.3 0.5 0.9\n", "has 6 numbers instead of 5"),
    Broken("yolo", FIRST, "2 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n", "has 8 numbers instead of 5"),
    Broken("yolo", FIRST, "2 0.1 0.1 0.2 0.1 0.3 0.1\n", NO_AREA),
    Broken("yolo", FIRST, "2 0.1 0.1 0.2 nan 0.3 0.1\n", "has a coordinate that is not finite"),
    Broken("yolo", FIRST, "2 nan 0.3 0.3 0.5\n", "has a coordinate that is nan"),
    Broken("yolo", FIRST, "2 0.2 inf 0.3 0.5\n", "are not between 0 and 1, as if they were pixels"),
    Broken("yolo", FIRST, "2 14 18 20 24\n", "are not between 0 and 1, as if they were pixels"),
    Broken("yolo", FIRST, "2 1.5 0.3 0.3 0.5\n", OUTSIDE),
    Broken("yolo", FIRST, "2 0.9 0.3 0.4 0.5\n", REACHES),
    Broken("yolo", FIRST, "2,0.2,0.3,0.3,0.5\n", "has 1 numbers instead of 5|as class, which is no number"),
    Broken("yolo", FIRST, "2 0,2 0,3 0,3 0,5\n", "has '0,2' as x, which is no number"),
    Broken("yolo", FIRST, "\udcff\udcfe\n", "is not text in UTF-8"),
    Broken("yolo", FIRST, " " * 10_000_000, "has more than 10 MB"),
]
ROW = "a.png,64,48,dog,4,6,24,30\n"
TABLE = [
    Broken("table", ROW, "a.png,64,48,dog,24,6,24,30\n", f"line 2 {NO_AREA}"),
    Broken("table", ROW, "a.png,64,48,dog,24,6,4,30\n", NO_AREA),
    Broken("table", ROW, "a.png,64,48,dog,nan,6,4,30\n", "has a coordinate that is nan"),
    Broken("table", ROW, "a.png,64,48,dog,4,6,inf,30\n", "has a coordinate that is inf"),
    Broken("table", ROW, "a.png,64,48,dog,,6,24,30\n", "has '' as xmin, which is no number"),
    Broken("table", ROW, "a.png,64,48,dog,x,6,24,30\n", "has 'x' as xmin, which is no number"),
    Broken("table", ROW, "a.png,64,48,,4,6,24,30\n", "line 2 has no class"),
    Broken("table", ROW, ",64,48,dog,4,6,24,30\n", "line 2 has no image"),
    Broken("table", ROW, "lost.png,64,48,dog,4,6,24,30\n", "line 2 names 'lost.png', which is not among the files"),
    Broken("table", ROW, "a.png,64,48,dog,4,6,24\n", "line 2 has no ymax"),
    Broken("table", ROW, "a.png,64,48,dog,80,6,90,30\n", OUTSIDE),
    Broken("table", ROW, "a.png,64,48,dog,4,6,90,30\n", REACHES),
    Broken("table", ROW, "a.png,640,48,dog,4,6,24,30\n", "declares an image of 640x48 pixels"),
    Broken("table", ROW, '"a.png,64,48,dog,4,6,24,30\n', "is not a table of comma-separated values"),
    Broken("table", ROW, '"a.png"b,64,48,dog,4,6,24,30\n', "is not a table of comma-separated values"),
    Broken("table", ROW, "a.png,64,48," + "d" * 200_000 + ",4,6,24,30\n", "is not a table of .*: field larger than"),
    Broken("table", ROW, "a.png,64,48,\udcff,4,6,24,30\n", "is not text in UTF-8"),
    Broken("table", ROW, "a.png,64,48," + "d" * 2000 + ",4,6,24,30\n", "whose name is no text, or too long"),
]
BROKEN = VOC + COCO + YOLO + TABLE


def test_there_are_a_hundred() -> None:
    assert len(BROKEN) >= 100
    assert len(set(BROKEN)) == len(BROKEN)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: f"{each.format}: {each.new[:40]!a}")
def test_a_broken_file_is_named_with_its_fault(tmp_path: Path, broken: Broken) -> None:
    root = WRITERS[broken.format](tmp_path / "data")
    file = root / FILES[broken.format]
    file.write_bytes(broken.bytes_of(file.read_bytes()))
    split = only_split(root)
    faults = [problem.fault for problem in split.problems if problem.file == str(file)]
    assert any(re.search(broken.fault, fault) for fault in faults), split.problems
    assert len(faults) <= 3, faults
    # The other annotations stay.
    left = rows_of(split)
    if not any(problem.lost == "image" for problem in split.problems):
        assert sum(map(len, left.values())) >= sum(map(len, EXPECTED.values())) - len(faults)
    if broken.format in ("voc", "yolo"):
        assert {name: left[name] for name in "bcde"} == {name: EXPECTED[name] for name in "bcde"}


def test_files_without_faults_have_no_problems(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        assert only_split(write(tmp_path / name)).problems == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("declared", ["stored", "upright", "none"])
@pytest.mark.parametrize("stored", [(60, 40), (50, 50)])
def test_boxes_follow_the_orientation_that_was_declared(
    tmp_path: Path, orientation: int, declared: str, stored: tuple[int, int]
) -> None:
    """A white rectangle in a black image is where its box is, whichever of the two sizes the labeling tool saw."""
    left, top, right, bottom = 5, 8, 25, 18
    pixels = np.zeros((stored[1], stored[0], 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))[..., 0]
    (bottom_up, right_up), (top_up, left_up) = (np.argwhere(shown).max(0) + 1).tolist(), np.argwhere(shown).min(0)
    upright = (int(left_up), int(top_up), right_up, bottom_up)
    turned = stored[0] != stored[1] and orientation > 4
    box = (left, top, right, bottom) if declared == "stored" and turned else upright
    size = stored if declared == "stored" else shown.shape[::-1]
    text = xml("a", size, [("dog", *box)])
    (tmp_path / "a.xml").write_text(text if declared != "none" else re.sub("<size>.*</size>", "", text))
    split = only_split(tmp_path)
    assert split.boxes[0].xyxy.tolist() == [list(upright)]
    assert split.sizes.tolist() == [list(shown.shape[::-1])]
    untold = orientation > 1 and (declared == "none" or not turned)
    assert [problem.kind for problem in split.problems] == ["box-orientation"] * untold


def test_an_edge_may_lie_a_pixel_outside(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", (20, 10))
    (tmp_path / "a.xml").write_text(xml("a", (20, 10), [("dog", -1, -0.5, 21, 11)]))
    split = only_split(tmp_path)
    assert rows_of(split) == {"a": [("dog", 0, 0, 20, 10)]}
    assert split.problems == ()


def test_an_image_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "JPEGImages" / "a.png").write_bytes(b"no image")
    split = only_split(tmp_path)
    assert sorted(rows_of(split)) == ["b", "c", "d", "e"]
    assert split.problems == (
        (
            str(tmp_path / "JPEGImages" / "a.png"),
            "is not an image in a format that is read here",
            "unreadable",
            "image",
            str(tmp_path / "JPEGImages" / "a.png"),
        ),
    )


def test_the_header_of_a_large_file_is_read_whole_where_it_needs_to_be(tmp_path: Path) -> None:
    """A thumbnail or a color profile may come first."""
    write_image(tmp_path / "a.jpg", (20, 10), icc_profile=bytes(3 * base.HEAD), quality=90)
    (tmp_path / "a.xml").write_text(xml("a", (20, 10), [("dog", 1, 1, 9, 9)]))
    assert only_split(tmp_path).sizes.tolist() == [[20, 10]]


def test_many_faults_of_one_file_are_not_all_listed(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", (20, 10))
    (tmp_path / "a.xml").write_text(xml("a", (20, 10), [("dog", 9, 9, 9, 9)] * (base.MAX_PROBLEMS + 50)))
    problems = only_split(tmp_path).problems
    assert len(problems) == base.MAX_PROBLEMS + 1
    assert problems[-1].fault == "has more than 1000 faults, which are not listed"


def test_an_image_is_matched_within_its_split_alone(tmp_path: Path) -> None:
    """Another with the same name in another split has other boxes."""
    for split in ("train", "test"):
        write_image(tmp_path / split / "b.png", (20, 10))
        (tmp_path / split / "b.xml").write_text(xml("b", (20, 10), []))
    write_image(tmp_path / "test" / "a.png", (20, 10))
    (tmp_path / "train" / "a.xml").write_text(xml("a", (20, 10), []))
    train, test = (open_splits(tmp_path)[name]() for name in ("train", "test"))
    assert [problem.fault for problem in train.problems] == ["has no image; it names 'a.png'"]  # type: ignore[attr-defined]
    assert [problem.fault for problem in test.problems] == ["has no annotation file"]  # type: ignore[attr-defined]
    assert (list(train.paths), list(test.paths)) == (["train/b.png"], ["test/b.png"])


def test_of_images_with_one_name_that_in_the_same_folders_is_meant(tmp_path: Path) -> None:
    for folder in ("day", "night"):
        write_image(tmp_path / "images" / folder / "a.png", (20, 10) if folder == "day" else (30, 10))
        (tmp_path / "annotations" / folder).mkdir(parents=True)
        (tmp_path / "annotations" / folder / "a.xml").write_text(xml("a", (20, 10), [(folder, 1, 1, 9, 9)]))
    write_image(tmp_path / "annotations" / "b.png", (20, 10))
    (tmp_path / "annotations" / "b.xml").write_text(xml("b", (20, 10), []))
    split = only_split(tmp_path)
    shown = {
        path: [split.classes[label] for label in boxes.labels]
        for path, boxes in zip(split.paths, split.boxes, strict=True)
    }
    assert shown == {"images/day/a.png": ["day"], "images/night/a.png": ["night"], "annotations/b.png": []}
