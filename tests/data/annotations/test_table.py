"""Tables of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from inceptorch.data.resolve import open_splits
from tests.data.annotations.helpers import IMAGES, only_split, rows_of, table, write_image, write_table

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


def test_a_row_without_a_split_is_named(tmp_path: Path) -> None:
    write_table(tmp_path)
    header, *lines = table().splitlines()
    rows = [f"{header},split", f"{lines[0]},", *(f"{line},train" for line in lines[1:])]
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    (train,) = (read() for read in open_splits(tmp_path).values())
    assert [each.fault for each in train.problems] == ["line 2 names no split"]  # type: ignore[attr-defined]
