"""`inceptorch visualize` and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.utils.progress import Progress
from inceptorch.visualization.png import read_settings, write_png
from inceptorch.visualization.write_visualization import write

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def bundle(tiny: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture
def layer(tiny: Classifier) -> str:
    return list(tiny.model.net.body)[2]


def test_the_same_file_again(bundle: Path, layer: str, images: Path, tmp_path: Path) -> None:
    settings = {"layer": layer, "channels": (1, 2), "data": str(images), "steps": 2, "diversity": 2, "negative": True}
    first = write(str(bundle), settings, tmp_path / "a.png", progress=QUIET)
    kept = read_settings(tmp_path / "a.png", "visualize")
    assert kept == {**first["settings"], "channels": [1, 2]}
    assert (kept["size"], kept["seed"], kept["lr"]) == (32, 0, 0.05)
    assert [each["file"] for each in kept["inputs"]] == [str(images)]
    again = write(None, {}, tmp_path / "b.png", repeat=tmp_path / "a.png", progress=QUIET)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert again["visualizations"] == first["visualizations"]
    write(None, {"seed": 5}, tmp_path / "c.png", repeat=tmp_path / "a.png", progress=QUIET)
    assert read_settings(tmp_path / "c.png", "visualize") == kept | {"seed": 5}
    one = {"target": "1", "channels": None}
    write(None, one, tmp_path / "d.png", repeat=tmp_path / "a.png", progress=QUIET)
    assert read_settings(tmp_path / "d.png", "visualize")["layer"] is None
    assert first["photographs"] == {"seen": 48, "skipped": 0}


def test_the_number_of_threads_is_as_it_was(bundle: Path, layer: str, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        write(str(bundle), {"layer": f"{layer}:1", "steps": 1}, tmp_path / "a.png", progress=QUIET)
        torch.set_num_threads(1)
        again = write(None, {}, tmp_path / "b.png", repeat=tmp_path / "a.png", progress=QUIET)
        assert again["settings"]["threads"] == 2
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_other_weights_and_files_are_named(
    bundle: Path, tiny: Classifier, layer: str, images: Path, tmp_path: Path
) -> None:
    made, image = tmp_path / "a.png", images / "val" / "red" / "00.png"
    write(str(bundle), {"layer": layer, "image": str(image)}, made, progress=QUIET)
    np.save(tmp_path / "d.npy", np.ones(tiny_channels(tiny, layer), np.float32))
    write(
        str(bundle),
        {"layer": layer, "direction": str(tmp_path / "d.npy"), "steps": 1},
        tmp_path / "d.png",
        progress=QUIET,
    )
    other = tmp_path / "other"
    tiny.save(other)
    changed = Classifier.read(other)
    next(changed.model.parameters()).data.add_(1)
    changed.save(tmp_path / "changed")
    with pytest.raises(InceptorchError, match=r"changed has other weights than it was made with"):
        write(str(tmp_path / "changed"), {}, tmp_path / "b.png", repeat=made, progress=QUIET)
    Image.new("RGB", (9, 9)).save(image)
    with pytest.raises(InceptorchError, match=r"Cannot make .*a.png again: .*00.png is not what it was"):
        write(None, {}, tmp_path / "b.png", repeat=made, progress=QUIET)
    np.save(tmp_path / "d.npy", np.zeros(3))
    with pytest.raises(InceptorchError, match=r"d.npy is not what it was"):
        write(None, {}, tmp_path / "b.png", repeat=tmp_path / "d.png", progress=QUIET)
    assert not (tmp_path / "b.png").exists()


def tiny_channels(tiny: Classifier, layer: str) -> int:
    from inceptorch.visualization.subjects import map_shapes

    return map_shapes(tiny, {layer})[layer][0]


def test_changed_photographs_are_named(bundle: Path, layer: str, images: Path, tmp_path: Path) -> None:
    write(str(bundle), {"layer": f"{layer}:1", "data": str(images), "steps": 1}, tmp_path / "a.png", progress=QUIET)
    (images / "val" / "red" / "00.png").unlink()
    with pytest.raises(InceptorchError, match="images is not what it was"):
        write(None, {}, tmp_path / "b.png", repeat=tmp_path / "a.png", progress=QUIET)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": "nan"}, "lr is "),
        ({"steps": -1}, "steps is -1"),
        ({"threads": 10**9}, "its number of threads is 1000000000"),
        ({"threads": "2"}, "its number of threads is '2'"),
        ({"model": "hf-hub:someone/else"}, "again without a model"),
        ({"model": 3}, "again without a model"),
        ({"channels": {"a": 1}}, "channels is "),
        ({"data": "https://example.org/train-{0..9}.tar"}, r"which would be fetched\. Try --data"),
        ({"data": "torchvision:CIFAR10"}, r"which would be fetched\. Try --data"),
    ],
)
def test_settings_of_strangers_are_checked(tmp_path: Path, values: dict[str, object], message: str) -> None:
    kept = {"command": "visualize", "model": "tiny", "threads": 1, "layer": "4c"} | values
    write_png(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8), kept)
    with pytest.raises(InceptorchError, match=message):
        write(None, {}, tmp_path / "b.png", repeat=tmp_path / "a.png", progress=QUIET)


def test_places_for_the_file_are_checked_before_any_work(bundle: Path, tmp_path: Path) -> None:
    image = tmp_path / "in.png"
    Image.new("RGB", (8, 8)).save(image)
    for out, message in (
        (tmp_path / "a.jpg", r"a.jpg: the images are PNG\. Try a\.png"),
        (tmp_path / "none" / "a.png", "none is no folder"),
        (image, "it is an input"),
    ):
        with pytest.raises(InceptorchError, match=message):
            write(str(bundle), {"layer": "4c", "image": str(image)}, out, progress=QUIET)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InceptorchError, match="it is a folder"):
        write(str(bundle), {"layer": "4c:1"}, tmp_path / "folder.png", progress=QUIET)


def test_one_image_is_written_as_it_is_and_several_as_a_sheet(bundle: Path, layer: str, tmp_path: Path) -> None:
    write(str(bundle), {"target": "1", "steps": 1}, tmp_path / "one.png", progress=QUIET)
    write(str(bundle), {"layer": layer, "channels": (0, 1), "steps": 1}, tmp_path / "two.png", progress=QUIET)
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
    with pytest.raises(KeyboardInterrupt):
        write(str(bundle), {"layer": f"{layer}:1", "steps": 9}, tmp_path / "a.png", every=3, progress=QUIET)
    kept = read_settings(tmp_path / "a.png", "visualize")
    assert kept["interrupted"] is True
    assert kept["steps"] == 3
