"""COCO JSON."""

import json
import shutil
from pathlib import Path

import pytest

from inceptorch.errors import RunError
from inceptorch.inference.writers import base
from inceptorch.inference.writers.coco import Coco
from tests.helpers import invoke
from tests.inference.helpers import entries_of


def test_coco_has_what_json_says(boxes: Path, folder: Path, tmp_path: Path) -> None:
    expected = entries_of(boxes, folder)
    out = tmp_path / "boxes.json"
    assert invoke("predict", boxes, folder, "--out", out).exit_code == 1
    coco = json.loads(out.read_text())
    assert list(coco) == ["images", "annotations", "errors", "categories"]
    assert coco["categories"] == [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}, {"id": 3, "name": "=1+1"}]
    good = [entry for entry in expected if "boxes" in entry]
    assert [image["file_name"] for image in coco["images"]] == [entry["file"] for entry in good]
    assert {(image["width"], image["height"]) for image in coco["images"]} == {(24, 20)}
    assert coco["errors"] == [{"file_name": e["file"], "error": e["error"]} for e in expected if "error" in e]
    names = {category["id"]: category["name"] for category in coco["categories"]}
    for image, entry in zip(coco["images"], good, strict=True):
        mine = [each for each in coco["annotations"] if each["image_id"] == image["id"]]
        said = [(names[each["category_id"]], each["score"], each["bbox"]) for each in mine]
        assert said == [(box["label"], box["score"], box["box"]) for box in entry["boxes"]]
    assert [each["id"] for each in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    assert all(
        each["area"] == pytest.approx(each["bbox"][2] * each["bbox"][3], abs=1e-3) for each in coco["annotations"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["boxes.json"]


def test_the_same_command_resumes_coco(
    boxes: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole.json", tmp_path / "stopped.json"
    monkeypatch.setattr(base, "CHUNK", 8)
    words = ("predict", boxes, folder, "--draw", tmp_path / "drawn", "--out")
    with monkeypatch.context() as patch:
        real = Coco._append

        def append(self: Coco, entries: list[object]) -> None:
            real(self, entries)  # type: ignore[arg-type]
            if self.state.done:
                raise KeyboardInterrupt

        patch.setattr(Coco, "_append", append)
        assert invoke(*words, stopped).exit_code == 130
    assert not stopped.exists()
    assert (tmp_path / "stopped.json.part.jsonl").exists()
    assert invoke(*words, stopped).exit_code == 1
    drawn = {path.relative_to(tmp_path / "drawn") for path in (tmp_path / "drawn").rglob("*.png")}
    assert drawn == {path.relative_to(folder) for path in folder.rglob("*.png")}
    shutil.rmtree(tmp_path / "drawn")
    assert invoke(*words, whole).exit_code == 1
    assert stopped.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", "stopped.json", "whole.json"]


def test_a_classifier_has_no_coco(bundle: Path, folder: Path, tmp_path: Path) -> None:
    result = invoke("predict", bundle, folder, "--out", tmp_path / "a.json")
    assert isinstance(result.exception, RunError)
    assert "its suffix names no format" in str(result.exception)
