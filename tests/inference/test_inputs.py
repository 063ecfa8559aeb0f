"""The images behind paths."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.classifier.config import ClassifierConfig
from inceptorch.data.sources.base import is_image
from inceptorch.data.sources.folder import Folder
from inceptorch.errors import ImageError, InceptorchError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.inference.inputs import find_images, image_entries, load_inputs
from inceptorch.utils.progress import Progress
from tests.helpers import invoke


def test_images_come_one_by_one_in_the_order_of_their_whole_paths(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/c/2.png", "a.x/3.png", "a-/4.png", "a0.png", "a/b.png", ".hidden/5.png", "a/text.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    expected = ["a-/4.png", "a.x/3.png", "a/b.png", "a/c/2.png", "a0.png", "b/1.png"]
    assert list(filter(is_image, Folder(tmp_path).files())) == sorted(expected)
    assert list(find_images(tmp_path)) == [str(tmp_path / name) for name in sorted(expected)]


def test_other_files_in_folders_are_counted(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.psd", "a/b/3.PSD", "a/4", "a/.hidden", "a/@eaDir/5.txt", "6.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    said: list[str] = []
    entries = list(image_entries([tmp_path / "a", tmp_path / "6.txt"], say=said.append))
    assert [entry["file"] for entry in entries] == [str(tmp_path / "a" / "1.png"), str(tmp_path / "6.txt")]
    assert said == ["not used: 2 .psd (2.psd), 1 without a suffix (4)"]
    list(image_entries([tmp_path / "6.txt"], say=said.append))
    assert len(said) == 1


def test_names_that_the_system_refuses_cost_their_own_line(bundle: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "red", tmp_path / "red")
    (tmp_path / "red" / "loop.png").symlink_to("loop.png")
    long = "a" * 300 + ".png"
    result = invoke("predict", bundle, long, tmp_path / "red", "--json")
    assert result.exit_code == 1
    faults = {Path(entry["file"]).name: entry["error"] for entry in json.loads(result.stdout) if "error" in entry}
    assert faults == {
        long: "could not be read: file name too long",
        "loop.png": "could not be read: too many levels of symbolic links",
    }
    within = {Path(entry["file"]).name for entry in image_entries([tmp_path / "red"], exclude=tmp_path)}
    assert not within
    beside = {Path(entry["file"]).name for entry in image_entries([tmp_path / "red"], exclude=folder)}
    assert "loop.png" in beside
    for model in (f"{'a' * 300}.onnx", "a" * 300):
        with pytest.raises(InceptorchError, match=r"does not exist|Cannot find"):
            open_engine(model)


def test_an_address_is_not_a_file(bundle: Path, folder: Path) -> None:
    result = invoke("predict", bundle, "https://example.com/tulip.jpg", folder / "red" / "00.png")
    assert result.exit_code == 1
    assert "https://example.com/tulip.jpg: is an address; download the image first" in result.stderr
    assert "00.png: " in result.stdout


def test_crops_are_those_of_the_first_images_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ClassifierConfig("a", default_preprocessing(16), ["b"])
    (tmp_path / "1.png").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"holds no image that can be read: .*1.png is not an image"):
        load_inputs(tmp_path, config, 3, Progress())
    for number in (2, 3, 4):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(tmp_path / f"{number}.png")
    crops = load_inputs(tmp_path, config, 3, Progress())
    assert crops.shape == (2, 16, 16, 3)
    assert crops.dtype == np.uint8
    assert crops[:, 0, 0].tolist() == [[2, 0, 0], [3, 0, 0]]
    assert "1.png is not an image in a format that is read here; left out" in capsys.readouterr().err
