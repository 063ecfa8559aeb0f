"""Explanations as files."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.explanation.write import JSON, write
from inceptorch.images.preprocessing import ImageArray
from inceptorch.utils.progress import Progress


def test_every_image_has_an_entry_and_readable_ones_a_drawing(
    colors: Classifier, red_and_green: ImageArray, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(red_and_green).save(tmp_path / folder / "same.png")
    (tmp_path / "b" / "broken.png").write_text("no image")
    out = tmp_path / "out"
    entries = write(colors, [tmp_path / "a", tmp_path / "b"], out, target="red", progress=Progress(quiet=True))
    assert [Path(entry["file"]).name for entry in entries] == ["same.png", "broken.png", "same.png"]
    assert "is not an image" in entries[1]["error"]
    assert [Path(entry["drawing"]).name for entry in entries if "drawing" in entry] == [
        "same.gradcam.png",
        "same.gradcam-2.png",
    ]
    assert sorted(path.name for path in out.iterdir()) == ["explained.json", "same.gradcam-2.png", "same.gradcam.png"]
    assert json.loads((out / JSON).read_text())[0]["label"] == "red"


def test_drawings_of_an_earlier_call_are_not_explained(
    colors: Classifier, red_and_green: ImageArray, tmp_path: Path
) -> None:
    Image.fromarray(red_and_green).save(tmp_path / "a.png")
    for _ in range(2):
        entries = write(colors, [tmp_path], tmp_path / "out", progress=Progress(quiet=True))
        assert [Path(entry["file"]).name for entry in entries] == ["a.png"]
