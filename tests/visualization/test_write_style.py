"""Style transfer from files to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.visualization.png import read_settings
from inceptorch.visualization.write_style import write_style
from tests.visualization.images import stripes, waves

VALUES = {"size": 32, "steps": 2}


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "content.png", tmp_path / "style.jpg"]
    for path, pixels in zip(paths, (waves(32, 32), stripes()), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def bundle(tiny: Classifier, tmp_path: Path) -> str:
    tiny.save(tmp_path / "bundle")
    return str(tmp_path / "bundle")


def test_a_file_says_how_it_was_made_and_is_made_again(bundle: str, inputs: list[Path], tmp_path: Path) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    made = write_style(first, inputs[0], inputs[1:], {**VALUES, "seed": 3, "keep_colors": True}, model=bundle)
    settings = read_settings(first, "style")
    assert settings == json.loads(json.dumps(made["settings"]))
    assert {"size": 32, "steps": 2, "seed": 3, "keep_colors": True, "interrupted": False}.items() <= settings.items()
    assert (made["file"], made["width"], made["height"]) == (str(first), 32, 32)

    write_style(again, None, [], {}, repeat=first)
    assert again.read_bytes() == first.read_bytes()
    moved = [path.rename(path.with_stem("moved")) for path in inputs]
    with pytest.raises(InceptorchError, match=r"style\.jpg does not exist"):
        write_style(again, moved[0], [], {}, repeat=first)
    write_style(again, moved[0], moved[1:], {}, repeat=first)
    assert Image.open(again).tobytes() == Image.open(first).tobytes()
    write_style(again, moved[0], moved[1:], {"seed": 4}, repeat=first)
    assert Image.open(again).tobytes() != Image.open(first).tobytes()


def test_what_cannot_be_made_again(bundle: str, inputs: list[Path], tmp_path: Path) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    write_style(first, inputs[0], inputs[1:], VALUES, model=bundle)
    Image.fromarray(stripes()[::2]).save(inputs[1])
    with pytest.raises(InceptorchError, match=r"style\.jpg is not what it was made from"):
        write_style(again, None, [], {}, repeat=first)
    with pytest.raises(InceptorchError, match=r"holds no settings of inceptorch style"):
        write_style(again, None, [], {}, repeat=inputs[0])
    with pytest.raises(InceptorchError, match="size is 5; it must be a whole number"):
        write_style(again, inputs[0], inputs[1:], {"size": 5}, model=bundle)
    assert not again.exists()


def test_the_image_so_far_is_written(
    bundle: str, inputs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "out.png", list[dict[str, Any]]()

    def stop_after(progress: object, items: range, *rest: object) -> Any:
        yield from items[:2]
        seen.append(read_settings(out, "style"))  # which --every wrote
        raise KeyboardInterrupt

    monkeypatch.setattr("inceptorch.utils.progress.Progress.track", stop_after)
    made = write_style(out, inputs[0], inputs[1:], {**VALUES, "steps": 5}, model=bundle, every=2)
    assert made["interrupted"]
    assert seen[0]["interrupted"]  # had it been killed
    assert read_settings(out, "style") == seen[0]
