"""From DATA to splits."""

import shutil
from pathlib import Path

import pytest

from inceptorch.data import find_split, find_train_and_val
from inceptorch.errors import DataError
from inceptorch.training import train
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


def test_train_and_val_folders(images: Path) -> None:
    train, val = find_train_and_val(images, 0.2, seed=0)
    assert train.classes == val.classes == CLASSES
    assert (train.counts(), val.counts()) == (dict.fromkeys(CLASSES, 12), dict.fromkeys(CLASSES, 4))


@pytest.mark.parametrize("name", ["valid", "validation", "test", "Test"])
def test_other_names_of_the_val_folder(images: Path, name: str) -> None:
    (images / "val").rename(images / name)
    assert len(find_train_and_val(images, 0.2, seed=0)[1]) == 12


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "vehicles", 5)
    (tmp_path / "vehicles" / "blue").rename(tmp_path / "vehicles" / "train")
    assert find_train_and_val(tmp_path / "vehicles", 0.2, 0)[0].classes == ("green", "red", "train")


def test_shapes_that_are_refused(images: Path, tmp_path: Path) -> None:
    def refused(data: Path, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence):
            find_train_and_val(data, 0.2, 0)

    refused(tmp_path / "nowhere", "does not exist")
    refused(images / "val" / "red" / "00.png", "neither a folder nor a .zip")
    refused(images / "val" / "red", "no class folders")
    (tmp_path / "bad.zip").write_bytes(b"PK nonsense")
    refused(tmp_path / "bad.zip", "not a zip file")
    (images / "train" / "empty").mkdir()
    refused(images, "class folder 'empty' holds no images")
    (images / "train" / "empty").rmdir()
    shutil.move(images / "train", tmp_path / "moved")
    refused(images, "has val but no train. Add the images")
    one = tmp_path / "one"
    shutil.copytree(tmp_path / "moved" / "red", one / "red")
    refused(one, "the one class 'red'; a classifier needs at least two")


def test_eval_takes_test_before_val_and_what_is_asked_for(images: Path) -> None:
    write_classes(images / "test", 2)
    assert len(find_split(images, CLASSES)) == 6
    assert len(find_split(images, CLASSES, "val")) == 12
    assert len(find_split(images, CLASSES, "train")) == 36
    assert len(find_split(images / "val", CLASSES)) == 12
    with pytest.raises(DataError, match="'vall'.*did you mean 'val'"):
        find_split(images, CLASSES, "vall")
    with pytest.raises(DataError, match="leave out --split"):
        find_split(images / "val", CLASSES, "val")


@pytest.mark.parametrize("data", ["pipe:touch trace; cat train-{000000..000002}.tar", "pipe:touch trace"])
def test_a_command_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="shell commands are not run"):
        find_split(data, CLASSES)
    with pytest.raises(DataError, match="shell commands are not run"):
        train(data, out="run", progress=QUIET)
    assert list(tmp_path.iterdir()) == []
