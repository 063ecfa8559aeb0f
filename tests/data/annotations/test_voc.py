"""Pascal VOC's annotations."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from inceptorch.data.annotations.base import AnnotationError
from inceptorch.data.annotations.voc import read_xml
from inceptorch.data.resolve import open_splits
from tests.data.annotations.helpers import only_split, rows_of, write_image, write_voc, xml


def test_numbers_may_have_fractions_and_blanks_and_objects_parts() -> None:
    text = """<annotation><filename> a.jpg </filename><object><name> big cat </name><difficult>1</difficult>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
    <bndbox><xmax> 40.5 </xmax><ymax>50</ymax><xmin>1e1</xmin><ymin>
    20</ymin></bndbox></object></annotation>"""
    name, size, ((label, edges, where, difficult, crowd, fault),) = read_xml(text.encode("utf-16"))
    assert (name, size, label.strip(), edges, where) == ("a.jpg", None, "big cat", (10, 20, 40.5, 50), "object 1")
    assert (difficult, crowd, fault) == (True, False, "")


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("True", True), ("0", False), ("", False), ("no", False)])
def test_difficult_objects_are_marked(tmp_path: Path, text: str, expected: bool) -> None:
    write_image(tmp_path / "a.png", (20, 10))
    written = xml("a", (20, 10), [("dog", 1, 1, 9, 9)]).replace(">0</difficult>", f">{text}</difficult>")
    (tmp_path / "a.xml").write_text(written)
    assert only_split(tmp_path).boxes[0].difficult.tolist() == [expected]


def test_entities_do_not_expand() -> None:
    """Of a billion laughs, the first is refused."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">{entities}]><annotation>&a11;</annotation>'
    began = time.process_time()
    for data in (bomb.encode(), bomb.encode("utf-16")):
        with pytest.raises(AnnotationError, match="declares a document type, which is not read"):
            read_xml(data)
    assert time.process_time() - began < 60


def test_orphans_are_left_out_both_ways(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "JPEGImages" / "a.png").unlink()
    (tmp_path / "Annotations" / "b.xml").unlink()
    split = only_split(tmp_path)
    assert sorted(rows_of(split)) == ["c", "d", "e"]
    assert [(Path(each.file).name, each.fault, each.kind, each.lost) for each in split.problems] == [
        ("a.xml", "has no image; it names 'a.png'", "missing-image", "image"),
        ("b.png", "has no annotation file", "missing-annotation", "image"),
    ]


def test_an_image_may_be_named_inside_alone(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "JPEGImages" / "a.png").rename(tmp_path / "JPEGImages" / "photo #1 = x.png")
    file = tmp_path / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("a.png", r"C:\photos\photo #1 = x.jpeg"))
    split = only_split(tmp_path)
    assert len(rows_of(split)["photo #1 = x"]) == 2
    assert split.problems == ()


def test_what_a_set_lists_and_is_not_there_is_named(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "Annotations" / "b.xml").unlink()
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "trainval.txt").write_text("a\n\nb\nlost\na\n")
    (tmp_path / "ImageSets" / "val.txt").write_text("d")
    splits = open_splits(tmp_path)
    assert list(splits) == ["train", "val"]
    train = splits["train"]()
    assert list(train.paths) == ["JPEGImages/a.png"]
    assert [(Path(each.file).name, each.fault) for each in train.problems] == [  # type: ignore[attr-defined]
        ("b.png", "has no annotation file"),
        ("trainval.txt", "lists 'lost', of which there is neither an annotation file nor an image"),
    ]


def test_a_set_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "train.txt").write_bytes(b"a\nb\xff\n")
    split = only_split(tmp_path)
    assert len(split) == 0
    assert [(Path(each.file).name, each.fault) for each in split.problems] == [("train.txt", "is not text in UTF-8")]
