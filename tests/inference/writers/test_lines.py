"""JSON lines and CSV."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.writers.lines import FORMULA
from inceptorch.models.module import Model
from tests.conftest import TINY
from tests.helpers import invoke
from tests.inference.helpers import entries_of, rows_of


def test_files_hold_what_json_says(bundle: Path, folder: Path, tmp_path: Path) -> None:
    words = (bundle, folder / "red", tmp_path / "none.png", folder, "--top", 2, "--min-confidence", 0.5)
    expected = entries_of(*words)
    assert ["error" in entry for entry in expected].count(True) == 2
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        result = invoke("predict", *words, "--out", tmp_path / name, "--json")
        assert result.exit_code == 1, result.output
        assert json.loads(result.stdout) == {"out": str(tmp_path / name), "images": 34, "failed": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl", "a.parquet"]
    assert rows_of(tmp_path / "a.jsonl") == expected
    nothing = {"predictions": None, "unknown": None, "error": None}
    assert rows_of(tmp_path / "a.parquet") == [nothing | entry for entry in expected]
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0]) == ["file", "label1", "probability1", "label2", "probability2", "unknown", "error"]
    for row, entry in zip(rows, expected, strict=True):
        answers = entry.get("predictions", [{"label": "", "probability": ""}] * 2)
        assert [row["label1"], row["label2"]] == [answer["label"] for answer in answers]
        assert [row["probability1"], row["probability2"]] == [str(answer["probability"]) for answer in answers]
        assert (row["file"], row["error"]) == (entry["file"], entry.get("error", ""))
        assert row["unknown"] == str(entry.get("unknown", ""))


def test_names_with_commas_quotes_and_lines_come_back_and_none_is_a_formula(folder: Path, tmp_path: Path) -> None:
    labels = ['a, "b"', "two\nlines", "=cmd|'/c calc'!A1"]
    torch.manual_seed(0)
    Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), labels).save(tmp_path / "bundle")
    image = tmp_path / "=HYPERLINK(1), x.png"
    shutil.copy(next((folder / "red").iterdir()), image)
    out = tmp_path / "a.csv"
    assert invoke("predict", tmp_path / "bundle", image, "--top", 3, "--out", out).exit_code == 0
    (row,) = rows_of(out)
    assert {row[f"label{rank}"] for rank in (1, 2, 3)} == {*labels[:2], "'" + labels[2]}
    assert row["file"] == str(image)
    assert 0 < float(row["probability1"]) < 1


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"])
def test_formulas_get_the_mark_that_the_page_gives_them(text: str) -> None:
    assert FORMULA.sub(r"'\g<0>", text) == f"'{text}"
    page = Path(inceptorch.__file__).parent / "serve" / "page" / "csv.js"
    assert f"/{FORMULA.pattern}/" in page.read_text()


def test_a_folder_without_images_gives_a_file_that_says_so(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = invoke("predict", bundle, tmp_path / "empty", "--out", tmp_path / "a.jsonl")
    assert result.exit_code == 1
    assert "0 images predicted" in result.stdout
    (row,) = rows_of(tmp_path / "a.jsonl")
    assert row["error"] == "is a folder that holds no images"


def test_boxes_are_one_a_line(boxes: Path, folder: Path, tmp_path: Path) -> None:
    words = (boxes, folder, "--min-confidence", 0.66)
    expected = entries_of(*words)
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert invoke("predict", *words, "--out", tmp_path / name).exit_code == 1  # for the bad image
    assert rows_of(tmp_path / "a.jsonl") == expected
    assert rows_of(tmp_path / "a.parquet") == [{"boxes": None, "error": None} | entry for entry in expected]
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0]) == ["file", "label", "score", "left", "top", "width", "height", "error"]
    lines: list[list[object]] = []
    for entry in expected:
        for box in entry.get("boxes", ()):
            label = "'=1+1" if box["label"] == "=1+1" else box["label"]
            lines.append([entry["file"], label, box["score"], *box["box"], ""])
        if not entry.get("boxes"):
            lines.append([entry["file"], *[""] * 6, entry.get("error", "")])
    assert [list(row.values()) for row in rows] == [[str(value) for value in line] for line in lines]
    assert {"'=1+1", "ant", "bee"} >= {str(line[1]) for line in lines if line[1]}


def test_an_image_without_boxes_has_a_line(boxes: Path, folder: Path, tmp_path: Path) -> None:
    image = folder / "red" / "00.png"
    words = (boxes, image, "--min-confidence", 1, "--out", tmp_path / "a.csv")
    assert invoke("predict", *words).exit_code == 0
    assert [list(row.values()) for row in rows_of(tmp_path / "a.csv")] == [[str(image), *[""] * 7]]
