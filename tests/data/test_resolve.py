"""From DATA to splits."""

import shutil
from pathlib import Path

import pytest

from inceptorch.data import find_split, find_train_and_val
from inceptorch.data.resolve import open_splits
from inceptorch.data.split import describe_unused_files
from inceptorch.errors import DataError
from inceptorch.training import train
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes
from tests.data.conftest import zipped

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


def test_train_and_val_folders(images: Path) -> None:
    train, val = find_train_and_val(images, 0.2, seed=0)
    assert train.classes == val.classes == CLASSES
    assert (train.counts(), val.counts()) == (dict.fromkeys(CLASSES, 12), dict.fromkeys(CLASSES, 4))


@pytest.mark.parametrize("name", ["valid", "validation", "test", "Test", "Testing", "test_set", "dev", "eval", "a-VAL"])
def test_other_names_of_the_val_folder(images: Path, name: str) -> None:
    (images / "val").rename(images / name)
    assert len(find_train_and_val(images, 0.2, seed=0)[1]) == 12


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("training_set", "test_set"), ("TRAIN", "Val2")])
@pytest.mark.parametrize("kind", ["folder", "zip", "zips"])
def test_splits_are_called_alike_in_folders_and_zip_files(
    images: Path, tmp_path: Path, train: str, test: str, kind: str
) -> None:
    (images / "train").rename(images / train)
    (images / "val").rename(images / test)
    data = images
    if kind == "zip":
        data = zipped(images, tmp_path / "all.zip")
    if kind == "zips":
        data = tmp_path / "zips"
        data.mkdir()
        for name in (train, test):
            zipped(images / name, data / f"{name}.zip")
    found = find_train_and_val(data, 0.2, 0)
    assert [(split.name, split.counts()) for split in found] == [
        (train, dict.fromkeys(CLASSES, 12)),
        (test, dict.fromkeys(CLASSES, 4)),
    ]


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        (["train", "Train"], "Train and train all mean train. Merge them"),
        (["train", "val", "valid"], "val and valid all mean val. Merge them"),
        (["train", "old_train", "val"], "old_train and train all mean train. Merge them"),
        (["train", "cars", "trucks"], "cars and trucks beside train may be a split or a class. Move it"),
        (["train", "holdout"], "holdout beside train may be a split or a class. Move it"),
        (["cars", "test"], "cars beside test may be a split or a class. Move it"),
    ],
)
@pytest.mark.parametrize("archived", [False, True])
def test_what_could_be_a_split_or_a_class_is_asked_about(
    tmp_path: Path, folders: list[str], sentence: str, archived: bool
) -> None:
    for name in folders:
        write_classes(tmp_path / "all" / name, 2)
    data = zipped(tmp_path / "all", tmp_path / "all.zip") if archived else tmp_path / "all"
    with pytest.raises(DataError, match=f"Cannot tell the splits of {data}: {sentence}"):
        find_train_and_val(data, 0.2, 0)


def test_images_of_splits_without_classes_are_no_classes(images: Path) -> None:
    for name in ("train", "val"):
        for path in sorted((images / name).rglob("*.png")):
            path.rename(images / name / f"{path.parent.name}{path.name}")
        for color in CLASSES:
            (images / name / color).rmdir()
    with pytest.raises(DataError, match="has train and val without class folders. Put each class into a folder"):
        find_train_and_val(images, 0.2, 0)


@pytest.mark.parametrize("folder", ["", "train"])
@pytest.mark.parametrize("names", [("images", "labels"), ("JPEGImages", "Annotations")])
def test_data_of_another_task_is_named(images: Path, folder: str, names: tuple[str, str]) -> None:
    (images / folder / names[0] / "train").mkdir(parents=True)
    (images / folder / names[1] / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=f"{images / folder}: it has {names[0]} and {names[1]} side by side"):
        find_train_and_val(images, 0.2, 0)


def test_a_split_in_a_folder_of_its_own_name_is_stepped_into(images: Path) -> None:
    for name in ("train", "val"):
        (images / name).rename(images / "moved")
        (images / f"seg_{name}").mkdir()
        (images / "moved").rename(images / f"seg_{name}" / f"seg_{name}")
    assert [len(split) for split in find_train_and_val(images, 0.2, 0)] == [36, 12]


def test_a_single_folder_is_the_split_that_it_is_called(images: Path, tmp_path: Path) -> None:
    """In any spelling. But a folder of splits may have any name."""
    (tmp_path / "data" / "my_train_data").mkdir(parents=True)
    for name in ("train", "val"):
        (images / name).rename(tmp_path / "data" / "my_train_data" / name)
    assert set(open_splits(tmp_path / "data")) == {"train", "val"}
    (tmp_path / "data" / "my_train_data" / "val").rename(images / "test_set")
    assert set(open_splits(images)) == {"test"}


@pytest.mark.parametrize("archived", [False, True])
def test_files_that_no_split_uses_are_known(images: Path, tmp_path: Path, archived: bool) -> None:
    image = images / "val" / "red" / "00.png"
    for name in ("loose.png", "test/1.png", "unlabeled/a/b.png", "train/loose.png", "train/red/x.psd", "val/red/y"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, images / name)
    (images / "README.md").touch()
    data = images
    if archived:
        data = Path(shutil.make_archive(str(tmp_path / "all"), "zip", images))
    train, val = find_train_and_val(data, 0.2, 0)
    assert list(train.unused) == [
        "train/loose.png", "train/red/x.psd", "loose.png", "test/1.png", "unlabeled/a/b.png",
    ]  # fmt: skip
    assert list(val.unused) == ["val/red/y"]
    assert describe_unused_files((train, val)) == (
        "4 outside the class folders (train/loose.png), 1 .psd (train/red/x.psd), 1 without a suffix (val/red/y)"
    )
    parts = find_train_and_val(images / "train", 0.2, 0)
    assert describe_unused_files(parts) == "1 outside the class folders (loose.png), 1 .psd (red/x.psd)"


def test_classes_are_in_the_order_of_characters(tmp_path: Path) -> None:
    write_classes(tmp_path / "all", 2)
    (tmp_path / "all" / "green").rename(tmp_path / "all" / "Zebra")
    assert find_train_and_val(tmp_path / "all", 0.5, 0)[0].classes == ("Zebra", "blue", "red")


def test_accents_may_be_written_in_two_ways(images: Path) -> None:
    (images / "train" / "red").rename(images / "train" / "ce\u0301")
    (images / "val" / "red").rename(images / "val" / "c\u00e9")
    train, val = find_train_and_val(images, 0.2, 0)
    assert train.classes == val.classes == ("blue", "c\u00e9", "green")
    assert val.counts()["c\u00e9"] == 4
    assert find_split(images, ("blue", "ce\u0301", "green"), "val").counts()["c\u00e9"] == 4
    (images / "train" / "green").rename(images / "train" / "c\u00e9")
    with pytest.raises(DataError, match="train has the class folder 'c\u00e9' twice, its accents in two forms; merge"):
        find_train_and_val(images, 0.2, 0)


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
    refused(one, "the one class 'red'. Add another")


def test_eval_takes_test_before_val_and_what_is_asked_for(images: Path) -> None:
    write_classes(images / "test", 2)
    assert len(find_split(images, CLASSES)) == 6
    assert len(find_split(images, CLASSES, "val")) == 12
    assert len(find_split(images, CLASSES, "train")) == 36
    assert len(find_split(images / "val", CLASSES)) == 12
    with pytest.raises(DataError, match="'vall'.*did you mean 'val'"):
        find_split(images, CLASSES, "vall")
    with pytest.raises(DataError, match="Leave out --split"):
        find_split(images / "val", CLASSES, "val")


@pytest.mark.parametrize("data", ["pipe:touch trace; cat train-{000000..000002}.tar", "pipe:touch trace"])
def test_a_command_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="shell commands are not run"):
        find_split(data, CLASSES)
    with pytest.raises(DataError, match="shell commands are not run"):
        train(data, out="run", progress=QUIET)
    assert list(tmp_path.iterdir()) == []


def test_a_list_beside_images_without_class_folders_is_named(images: Path) -> None:
    folder = images / "val" / "red"
    (folder / "_classes.csv").write_text("filename,red,blue\n00.png,1,0\n")
    with pytest.raises(DataError, match=f"has no class folders. .*, or try the list {folder}/_classes.csv"):
        find_train_and_val(folder, 0.2, 0)
