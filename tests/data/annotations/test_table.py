"""Tables of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from inceptorch.data.box_split import describe_problems
from inceptorch.data.resolve import open_splits
from tests.data.annotations.helpers import IMAGES, only_split, rows_of, table, write_image, write_images, write_table

EXPECTED = {name: rows for name, (_, rows) in IMAGES.items()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_encodings(tmp_path: Path, delimiter: str, encoding: str) -> None:
    write_table(tmp_path)
    (tmp_path / "boxes.csv").write_bytes(table().replace(",", delimiter).replace("\n", "\r\n").encode(encoding))
    assert rows_of(only_split(tmp_path)) == EXPECTED


def test_lines_may_end_in_a_carriage_return_alone(tmp_path: Path) -> None:
    write_table(tmp_path)
    (tmp_path / "boxes.csv").write_bytes(table().replace("\n", "\r").encode())
    assert rows_of(only_split(tmp_path)) == EXPECTED


def test_columns_may_be_in_any_order_and_more(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", (64, 48))
    (tmp_path / "boxes.csv").write_text("id,Image Path,y_max,y_min,x_max,x_min,label\n7,a.png,30,6,24,4,dog\n")
    assert rows_of(only_split(tmp_path)) == {"a": [("dog", 4, 6, 24, 30)]}


def test_images_that_are_not_listed_are_left_out(tmp_path: Path) -> None:
    write_table(tmp_path)
    write_image(tmp_path / "images" / "more.png", (20, 10))
    split = only_split(tmp_path)
    assert sorted(rows_of(split)) == sorted(IMAGES)
    assert [(Path(each.file).name, each.kind) for each in split.problems] == [("more.png", "missing-annotation")]


def test_rows_without_a_known_split_are_named_once(tmp_path: Path) -> None:
    write_table(tmp_path)
    header, *lines = table().splitlines()
    words = ["", "fold3", "val", *["Train"] * (len(lines) - 3)]
    rows = [f"{header},split", *(f"{line},{word}" for line, word in zip(lines, words, strict=True))]
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    splits = {name: read() for name, read in open_splits(tmp_path).items()}
    assert list(splits) == ["train", "val"]
    faults = [problem.fault for split in splits.values() for problem in split.problems]  # type: ignore[attr-defined]
    assert faults == [
        "line 2 names no split",
        "line 3 names the split 'fold3', which is none of train, val, test",
    ]


def test_a_column_without_any_known_split_is_named(tmp_path: Path) -> None:
    write_table(tmp_path)
    header, *lines = table().splitlines()
    (tmp_path / "boxes.csv").write_text(
        "\n".join([f"{header},set", *(f"{line},fold{number % 2}" for number, line in enumerate(lines))])
    )
    split = only_split(tmp_path)
    assert rows_of(split) == EXPECTED
    (line,) = describe_problems([split])
    assert line.endswith("boxes.csv has a column of splits that is not used: it names 'fold0' and 'fold1'")


def test_coordinates_from_0_to_1_are_fractions(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    lines = ["filename,class,xmin,ymin,xmax,ymax"]
    for name, ((width, height), rows) in IMAGES.items():
        for label, left, top, right, bottom in rows:
            lines.append(f"{name}.png,{label},{left / width},{top / height},{right / width},{bottom / height}")
        lines += [] if rows else [f"{name}.png,,,,,"]
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    split = only_split(tmp_path)
    assert rows_of(split) == EXPECTED
    (line,) = describe_problems([split, split])
    assert line.endswith("boxes.csv has coordinates from 0 to 1, which are taken as fractions of width and height")
    # One coordinate in pixels, and all are.
    name = next(name for name, (_, rows) in IMAGES.items() if rows)
    (tmp_path / "boxes.csv").write_text("\n".join([*lines, f"{name}.png,dog,0,0,20,20"]))
    (boxes,) = (rows for image, rows in rows_of(only_split(tmp_path)).items() if image == name)
    assert ("dog", 0, 0, 20, 20) in boxes
    assert not list(describe_problems([only_split(tmp_path)]))
