"""Dreams as files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.utils.progress import Progress
from inceptorch.visualization.png import read_settings
from inceptorch.visualization.write_dream import write_dream

QUICK = {"layer": "3a", "octaves": 1, "steps": 1}
QUIET = Progress(quiet=True)


@pytest.fixture
def bundle(tiny: Classifier, tmp_path: Path) -> str:
    tiny.save(tmp_path / "bundle")
    return str(tmp_path / "bundle")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (32, 40, 3), np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_png_and_what_it_says_of_its_making(bundle: str, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "dream.png"
    made = write_dream(out, image, QUICK, model=bundle, progress=QUIET)
    with Image.open(out) as written:
        assert (written.format, written.size) == ("PNG", (40, 32))
    assert (made["file"], made["width"], made["height"], made["frames"]) == (str(out), 40, 32, 1)
    assert [len(octave["energy"]) for octave in made["octaves"]] == [1]
    json.dumps(made, allow_nan=False)
    record = read_settings(out, "dream")
    assert json.loads(json.dumps(made["settings"])) == record
    assert record["model"] == bundle
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    assert record["inputs"] == {"image": {"file": str(image), "sha256": sha256}}
    assert (record["layer"], record["size"], record["octave_scale"], record["seed"]) == ("3a", 40, 1.4, 0)


def test_from_its_png_it_is_made_again_byte_by_byte(bundle: str, image: Path, tmp_path: Path) -> None:
    settings = {**QUICK, "octaves": 2, "channels": [1, 2], "seed": 7, "strength": 0.7, "keep_colors": True}
    write_dream(tmp_path / "a.png", image, settings, guide=image, model=bundle, progress=QUIET)
    write_dream(tmp_path / "b.png", None, {}, repeat=tmp_path / "a.png", progress=QUIET)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    write_dream(tmp_path / "c.png", None, {"seed": 8}, repeat=tmp_path / "a.png", progress=QUIET)
    said = read_settings(tmp_path / "a.png", "dream")
    assert read_settings(tmp_path / "c.png", "dream") == said | {"seed": 8}
    assert Image.open(tmp_path / "a.png").tobytes() != Image.open(tmp_path / "c.png").tobytes()


def test_the_number_of_threads_is_that_of_then(bundle: str, image: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        write_dream(tmp_path / "a.png", image, QUICK, model=bundle, progress=QUIET)
        torch.set_num_threads(1)
        write_dream(tmp_path / "b.png", None, {}, repeat=tmp_path / "a.png", progress=QUIET)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_input_is_found_elsewhere_and_must_be_the_same(bundle: str, image: Path, tmp_path: Path) -> None:
    made, out = tmp_path / "a.png", tmp_path / "b.png"
    write_dream(made, image, QUICK, model=bundle, progress=QUIET)
    moved = image.rename(tmp_path / "moved.png")
    with pytest.raises(InceptorchError, match=r"photo\.png does not exist\."):
        write_dream(out, None, {}, repeat=made)
    write_dream(out, moved, {}, repeat=made, guide=moved, progress=QUIET)  # a guide that there was not
    assert list(read_settings(out, "dream")["inputs"]) == ["image", "guide"]
    Image.new("RGB", (40, 32)).save(image)
    with pytest.raises(InceptorchError, match=r"photo\.png is not what it was made from\. Try the original\."):
        write_dream(out, None, {}, repeat=made)


def test_mistakes_are_said_before_the_work(image: Path, tmp_path: Path) -> None:
    def said(out: Path, values: dict[str, Any], **more: Any) -> str:
        with pytest.raises(InceptorchError) as found:
            write_dream(out, image, values, model="none", **more)
        return str(found.value)

    remedy = f"its name must end in .webp or .mp4. Try {tmp_path / 'a.webp'}."
    assert said(tmp_path / "a.png", {"zoom": 2}).endswith(remedy)
    assert said(image, {}).endswith("it is an input. Try another --out.")
    assert said(tmp_path / "a.png", {}, guide=tmp_path / "a.png").startswith("Cannot find a folder or published")
    assert "no value 'octave'" in said(tmp_path / "a.png", {"octave": 3})
    with pytest.raises(InceptorchError, match="Cannot dream without an image"):
        write_dream(tmp_path / "a.png", None, {})


def test_a_film_is_written(bundle: str, image: Path, tmp_path: Path) -> None:
    made = write_dream(tmp_path / "film.webp", image, {**QUICK, "zoom": 2}, model=bundle, progress=QUIET)
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == made["frames"] == 2  # type: ignore[attr-defined]


def test_an_interrupted_image_says_so(bundle: str, image: Path, tmp_path: Path) -> None:
    class Stopped(Progress):
        def track(self, *words: Any, **named: Any) -> Any:
            yield 0
            raise KeyboardInterrupt

    made = write_dream(tmp_path / "a.png", image, {**QUICK, "steps": 9}, model=bundle, progress=Stopped(quiet=True))
    assert made["interrupted"]
    assert read_settings(tmp_path / "a.png", "dream")["interrupted"] is True
    write_dream(tmp_path / "b.png", None, {}, repeat=tmp_path / "a.png", progress=QUIET)  # to its end
    assert read_settings(tmp_path / "b.png", "dream")["interrupted"] is False
