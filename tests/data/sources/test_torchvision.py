"""torchvision's data sets."""

import inspect
import pickle
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from inceptorch.data import find_split, find_train_and_val, verify, without_unreadable
from inceptorch.data.sources import torchvision
from inceptorch.errors import DataError, RunError
from inceptorch.training import resume, train
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


class FewFakes(datasets.FakeData):  # type: ignore[misc]  # it has no types
    def __init__(self, root: str) -> None:
        super().__init__(size=60, image_size=(3, 8, 8), num_classes=3)


def test_a_data_set_without_parts_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "EuroSAT", FewFakes)
    train, val = find_train_and_val("torchvision:EuroSAT", 0.2, 0)
    assert train.classes == ("0", "1", "2")
    assert len(train) + len(val) == 60
    kept, skipped = without_unreadable(train, QUIET)
    assert (len(kept), skipped) == (len(train), [])
    original = FewFakes("")
    for index in (0, 7):
        image, label = original[int(train.paths[index])]
        assert np.array_equal(np.asarray(train.image(index)), np.asarray(image))
        assert train.labels[index] == label
    assert train.source.checked is False  # it draws each image when it is asked for one
    again = pickle.loads(pickle.dumps(train))
    assert again.read(3) == train.read(3)
    assert val.file(0) == f"image {val.paths[0]} of torchvision:EuroSAT"


def write_mnist(root: Path) -> dict[str, np.ndarray]:
    """MNIST's files with a few images of noise."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random, written = np.random.default_rng(0), {}
    for part, count in (("train", 12), ("t10k", 6)):
        images = random.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 3
        for what, array, magic in (("images-idx3", images, 2051), ("labels-idx1", labels, 2049)):
            head = struct.pack(f">{1 + array.ndim}i", magic, *array.shape)
            (raw / f"{part}-{what}-ubyte").write_bytes(head + array.tobytes())
        written[part] = images
    return written


def test_a_data_set_with_parts(tmp_path: Path) -> None:
    written = write_mnist(tmp_path)
    data = f"torchvision:MNIST:{tmp_path}"
    train, test = find_train_and_val(data, 0.2, 0)
    assert (len(train), len(test), train.name, test.name) == (12, 6, "train", "test")
    assert train.classes == ("0 - zero", "1 - one", "2 - two")
    assert np.array_equal(np.asarray(test.image(4))[:, :, 0], written["t10k"][4])
    assert find_split(data, train.classes, "train").labels.tolist() == [0, 1, 2] * 4
    with pytest.raises(DataError, match="Cannot find val in .*: it has train and test"):
        find_split(data, train.classes, "val")


def test_arrays_in_memory_are_not_decoded_to_see_whether_they_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path)
    split = find_split(f"torchvision:MNIST:{tmp_path}", ("0 - zero", "1 - one", "2 - two"), "train")
    decoded: list[bytes] = []
    monkeypatch.setattr(verify, "decode", decoded.append)
    assert without_unreadable(split, QUIET) == (split, [])
    assert decoded == []


def test_a_data_set_of_files_is_read_as_they_are(images: Path) -> None:
    split = find_split(f"torchvision:ImageFolder:{images / 'train'}", CLASSES)
    assert split.read(0) == (images / "train" / "blue" / "00.png").read_bytes()
    assert split.paths == find_split(images / "train", CLASSES).paths


def test_parts_by_the_argument_split_of_a_data_set(tmp_path: Path) -> None:
    root = tmp_path / "country211"
    for part, count in (("train", 4), ("valid", 3), ("test", 2)):
        write_classes(root / part, count)
    for name, count in (("train", 4), ("val", 3), ("test", 2)):
        found = find_split(f"torchvision:Country211:{tmp_path}", CLASSES, name)
        assert found.counts() == dict.fromkeys(CLASSES, count)


def test_what_cannot_be_downloaded_is_said_with_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(
        DataError,
        match=f"MNIST:{tmp_path} could not be read from {tmp_path}, nor be downloaded: "
        ".*fetch train-images-idx3-ubyte.gz.*"
        f" from http://127.0.0.1:9/ in another way and put them into {tmp_path / 'MNIST' / 'raw'}",
    ):
        find_split(f"torchvision:MNIST:{tmp_path}", CLASSES)
    assert capsys.readouterr().out == ""


def test_every_data_set_takes_the_arguments_that_choose_its_parts(tmp_path: Path) -> None:
    for name, parts in torchvision.DATASETS.items():
        make = getattr(datasets, name)
        assert set(parts) in ({""}, {"train", "test"}, {"train", "val"}, {"train", "val", "test"})
        assert "download" in inspect.signature(make).parameters or name in torchvision.NOT_DOWNLOADED
        for arguments in parts.values():
            with pytest.raises(
                (RuntimeError, OSError, ImportError)
            ):  # its files are not there; ValueError: no such part
                make(root=str(tmp_path), **arguments)


def test_resuming_downloads_nothing(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "sets")
    data, run = f"torchvision:MNIST:{tmp_path / 'sets'}", tmp_path / "run"
    train(data, out=run, recipe=with_values(recipe, {"epochs": 1}), progress=QUIET)
    shutil.rmtree(tmp_path / "sets")
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: pytest.fail("it was downloaded"))
    root = tmp_path / "sets"
    said = rf"MNIST:{root} could not be read from {root}: .* Cannot fetch {data}, .* --resume {run}"
    with pytest.raises(DataError, match=said):
        resume(run, QUIET)
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(re.sub("fingerprint: .*", "fingerprint: ''", text))
    with pytest.raises(RunError, match="run.yaml lacks values"):
        resume(run, QUIET)
    (run / "run.yaml").write_text(text.replace("MNIST", "ImageNet"))  # whose archives torchvision would unpack
    with pytest.raises(RunError, match=f"Cannot fetch torchvision:ImageNet:{tmp_path / 'sets'}, which"):
        resume(run, QUIET)
    assert not (tmp_path / "sets").exists()
    (run / "run.yaml").write_text(text)

    def download(self: datasets.MNIST) -> None:
        if not (tmp_path / "sets" / "MNIST").exists():
            write_mnist(tmp_path / "sets")

    monkeypatch.setattr(datasets.MNIST, "download", download)
    assert resume(run, QUIET, data=data).epochs == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("torchvision:CIFAR", "Cannot read torchvision's data set 'CIFAR': did you mean 'CIFAR10'"),
        ("torchvision:", "write it as torchvision:NAME"),
        ("torchvision:EMNIST:none", "Cannot read torchvision's data set 'EMNIST': did you mean 'MNIST'"),
        ("torchvision:ImageNet:none", "could not be read from none: "),
    ],
)
def test_data_sets_that_are_refused(data: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        find_split(data, CLASSES)
