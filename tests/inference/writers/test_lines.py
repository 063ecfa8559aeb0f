"""JSON lines and CSV."""

import json
from pathlib import Path

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


def test_a_folder_without_images_gives_a_file_that_says_so(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = invoke("predict", bundle, tmp_path / "empty", "--out", tmp_path / "a.jsonl")
    assert result.exit_code == 1
    assert "0 images classified" in result.stdout
    (row,) = rows_of(tmp_path / "a.jsonl")
    assert row["error"] == "is a folder that holds no images"
