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
from inceptorch.visualization.png import read_settings, write_png
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
    made = write_dream(image, out, bundle, QUICK, progress=QUIET)
    with Image.open(out) as written:
        assert (written.format, written.size) == ("PNG", (40, 32))
    assert (made["file"], made["width"], made["height"], made["frames"]) == (str(out), 40, 32, 1)
    assert [len(octave["energy"]) for octave in made["octaves"]] == [1]
    json.dumps(made, allow_nan=False)
    record = read_settings(out, "dream")
    assert json.loads(json.dumps(made["settings"])) == record
    assert record["model"] == bundle
    assert record["inputs"] == [{"file": str(image), "sha256": hashlib.sha256(image.read_bytes()).hexdigest()}]
    assert (record["layer"], record["size"], record["octave_scale"], record["seed"]) == ("3a", 40, 1.4, 0)


def test_from_its_png_it_is_made_again_byte_by_byte(bundle: str, image: Path, tmp_path: Path) -> None:
    settings = {**QUICK, "octaves": 2, "channels": [1, 2], "seed": 7, "strength": 0.7, "keep_colors": True}
    write_dream(image, tmp_path / "a.png", bundle, settings, guide=image, progress=QUIET)
    write_dream(None, tmp_path / "b.png", source=tmp_path / "a.png", progress=QUIET)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    write_dream(image, tmp_path / "c.png", bundle, {**settings, "seed": 8}, guide=image, progress=QUIET)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_the_number_of_threads_is_that_of_then(bundle: str, image: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        write_dream(image, tmp_path / "a.png", bundle, QUICK, progress=QUIET)
        torch.set_num_threads(1)
        write_dream(None, tmp_path / "b.png", source=tmp_path / "a.png", progress=QUIET)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_what_differs_from_then_is_named(bundle: str, image: Path, tmp_path: Path, tiny: Classifier) -> None:
    source, out = tmp_path / "a.png", tmp_path / "b.png"
    write_dream(image, source, bundle, QUICK, progress=QUIET)
    with pytest.raises(InceptorchError, match=r"Cannot change steps and seed of .*a\.png\. Try without --from\."):
        write_dream(None, out, settings={"steps": 3, "seed": 1}, source=source)
    with pytest.raises(InceptorchError, match=r"a\.png: it is an input\. Name another --out\."):
        write_dream(None, source, source=source)
    other = Classifier.of(type(tiny.model)(tiny.model.net, 3), tiny.preprocessing, tiny.classes)
    other.save(tmp_path / "other")
    with pytest.raises(InceptorchError, match=r"a\.png again: it was made with other weights\. Try --model"):
        write_dream(None, out, str(tmp_path / "other"), source=source)
    moved = image.rename(tmp_path / "moved.png")
    with pytest.raises(InceptorchError, match=r"photo\.png does not exist\."):
        write_dream(None, out, source=source)
    write_dream(moved, out, source=source, progress=QUIET)
    Image.new("RGB", (40, 32)).save(image)
    with pytest.raises(InceptorchError, match=r"photo\.png is not the file it was made from\. Name that one\."):
        write_dream(None, out, source=source)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inputs": None}, "inputs is None"),
        ({"inputs": []}, "does not name its inputs"),
        ({"inputs": [{"sha256": "0"}]}, "does not name its inputs"),
        ({"model": "hf-hub:someone/network"}, r"a file should not choose\. Try --model hf-hub:someone/network\."),
        ({"model": 3}, "model is 3"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": "many"}, "threads is 'many'"),
        ({"steps": 10**9}, "steps is 1000000000"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"channels": ["x"]}, "channels is"),
    ],
)
def test_a_strangers_values_are_checked(
    bundle: str, image: Path, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    write_dream(image, tmp_path / "a.png", bundle, QUICK, progress=QUIET)
    record = read_settings(tmp_path / "a.png", "dream")
    write_png(tmp_path / "b.png", np.zeros((2, 2, 3), np.uint8), record | change)
    with pytest.raises(InceptorchError, match=sentence):
        write_dream(None, tmp_path / "c.png", source=tmp_path / "b.png")
    assert not (tmp_path / "c.png").exists()


def test_where_it_cannot_be_written_is_said_before_the_work(image: Path, tmp_path: Path) -> None:
    def said(out: Path, **more: Any) -> str:
        with pytest.raises(InceptorchError) as found:
            write_dream(image, out, "none", **more)
        return str(found.value)

    assert said(tmp_path / "a.jpg").endswith("its name must end in .png. Try another --out.")
    assert said(tmp_path / "a.png", settings={"zoom": 2}).endswith("must end in .webp or .mp4. Try another --out.")
    assert "there is no folder" in said(tmp_path / "none" / "a.png")
    (tmp_path / "folder.png").mkdir()
    assert said(tmp_path / "folder.png").endswith("it is a folder. Name a file with --out.")
    assert said(image).endswith("it is an input. Name another --out.")
    (tmp_path / "link.png").symlink_to(image)
    assert said(tmp_path / "link.png").endswith("it is an input. Name another --out.")
    assert said(tmp_path / "a.png", guide=tmp_path / "a.png").startswith("Cannot find a folder or published weights")
    with pytest.raises(InceptorchError, match="Cannot dream without an image"):
        write_dream(None, tmp_path / "a.png")
    with pytest.raises(InceptorchError, match="no value 'octave'"):
        write_dream(image, tmp_path / "a.png", settings={"octave": 3})


def test_a_film_is_written(bundle: str, image: Path, tmp_path: Path) -> None:
    made = write_dream(image, tmp_path / "film.webp", bundle, {**QUICK, "zoom": 2}, progress=QUIET)
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == made["frames"] == 2  # type: ignore[attr-defined]


def test_an_interrupted_image_says_so(bundle: str, image: Path, tmp_path: Path) -> None:
    class Stopped(Progress):
        def track(self, *words: Any, **named: Any) -> Any:
            yield 0
            raise KeyboardInterrupt

    made = write_dream(image, tmp_path / "a.png", bundle, {**QUICK, "steps": 9}, progress=Stopped(quiet=True))
    assert made["interrupted"]
    assert read_settings(tmp_path / "a.png", "dream")["interrupted"] is True
    write_dream(None, tmp_path / "b.png", source=tmp_path / "a.png", progress=QUIET)  # to its end
    assert "interrupted" not in read_settings(tmp_path / "b.png", "dream")
