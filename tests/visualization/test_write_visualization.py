"""`inceptorch visualize` and its file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.utils.progress import Progress
from inceptorch.visualization.png import read_settings
from inceptorch.visualization.subjects import map_shapes
from inceptorch.visualization.write_visualization import write_visualization

write = partial(write_visualization, progress=Progress(quiet=True))


@pytest.fixture(scope="module")
def bundle(tiny: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture
def layer(tiny: Classifier) -> str:
    return list(tiny.model.net.body)[2]


def test_the_same_file_again(bundle: Path, layer: str, images: Path, tmp_path: Path) -> None:
    settings = {"layer": layer, "channels": (1, 2), "steps": 2, "diversity": 2, "negative": True}
    first = write(tmp_path / "a.png", settings, model=str(bundle), data=str(images))
    kept = read_settings(tmp_path / "a.png", "visualize")
    assert kept == {**first["settings"], "channels": [1, 2]}
    assert (kept["size"], kept["seed"], kept["lr"]) == (32, 0, 0.05)
    assert {name: each["file"] for name, each in kept["inputs"].items()} == {"data": str(images)}
    again = write(tmp_path / "b.png", {}, repeat=tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert again["visualizations"] == first["visualizations"]
    write(tmp_path / "c.png", {"seed": 5}, repeat=tmp_path / "a.png")
    assert read_settings(tmp_path / "c.png", "visualize") == kept | {"seed": 5}
    write(tmp_path / "d.png", {"target": "1"}, repeat=tmp_path / "a.png")  # instead of the layer and its channels
    changed = kept | {"target": "1", "layer": None, "channels": None}
    assert read_settings(tmp_path / "d.png", "visualize") == changed
    assert first["photographs"] == {"seen": 48, "skipped": 0}


def test_the_number_of_threads_is_as_it_was(bundle: Path, layer: str, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        write(tmp_path / "a.png", {"layer": f"{layer}:1", "steps": 1}, model=str(bundle))
        torch.set_num_threads(1)
        again = write(tmp_path / "b.png", {}, repeat=tmp_path / "a.png")
        assert again["settings"]["threads"] == 2
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_changed_files_are_named(bundle: Path, tiny: Classifier, layer: str, images: Path, tmp_path: Path) -> None:
    image, vector = images / "val" / "red" / "00.png", tmp_path / "vector.npy"
    write(tmp_path / "a.png", {"layer": layer}, model=str(bundle), image=image)
    np.save(vector, np.ones(map_shapes(tiny, {layer})[layer][0], np.float32))
    write(tmp_path / "d.png", {"layer": layer, "steps": 1}, model=str(bundle), direction=vector)
    write(tmp_path / "c.png", {"layer": f"{layer}:1"}, model=str(bundle), repeat=tmp_path / "d.png")
    assert read_settings(tmp_path / "c.png", "visualize")["inputs"] == {}  # a direction is of the layer before
    Image.new("RGB", (9, 9)).save(image)
    np.save(vector, np.zeros(3))
    for made, name in (("a.png", "00.png"), ("d.png", "vector.npy")):
        with pytest.raises(InceptorchError, match=f"Cannot make .*{made} again: .*{name} is not what it was"):
            write(tmp_path / "b.png", {}, repeat=tmp_path / made)
    assert not (tmp_path / "b.png").exists()


def test_changed_photographs_are_named(bundle: Path, layer: str, images: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.png", {"layer": f"{layer}:1", "steps": 1}, model=str(bundle), data=str(images))
    (images / "val" / "red" / "00.png").unlink()
    with pytest.raises(InceptorchError, match="images is not what it was"):
        write(tmp_path / "b.png", {}, repeat=tmp_path / "a.png")


def test_mistakes_are_said_before_the_work(bundle: Path, tmp_path: Path) -> None:
    image = tmp_path / "in.png"
    Image.new("RGB", (8, 8)).save(image)
    with pytest.raises(InceptorchError, match="it is an input"):
        write(image, {"layer": "4c"}, model=str(bundle), image=image)
    with pytest.raises(InceptorchError, match="Cannot visualize without a model"):
        write(tmp_path / "a.png", {"layer": "4c"})


def test_one_image_is_written_as_it_is_and_several_as_a_sheet(bundle: Path, layer: str, tmp_path: Path) -> None:
    write(tmp_path / "one.png", {"target": "1", "steps": 1}, model=str(bundle))
    write(tmp_path / "two.png", {"layer": layer, "channels": (0, 1), "steps": 1}, model=str(bundle))
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert one.size == (32, 32)
        assert two.width > 2 * 128
        assert two.height > 128


def test_ctrl_c_leaves_the_image_so_far(
    bundle: Path, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inceptorch.visualization import write_visualization

    drawn = []

    def draw_and_interrupt(visualizations: object) -> object:
        drawn.append(1)
        if len(drawn) == 1:
            raise KeyboardInterrupt
        return draw(visualizations)  # type: ignore[arg-type]

    draw = write_visualization.draw
    monkeypatch.setattr(write_visualization, "draw", draw_and_interrupt)
    made = write(tmp_path / "a.png", {"layer": f"{layer}:1", "steps": 9}, model=str(bundle), every=3)
    kept = read_settings(tmp_path / "a.png", "visualize")
    assert made["interrupted"] is kept["interrupted"] is True
    assert kept["steps"] == 9  # with which it is made to its end
