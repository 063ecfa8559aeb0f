"""DATA that is no folder: lists of images, and torchvision's data sets."""

import inspect
import json
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from inceptorch.data import find_split, find_train_and_val, fingerprint, verify, without_unreadable
from inceptorch.data.locator import absolute, lies_inside, short_name
from inceptorch.data.sources import torchvision as named
from inceptorch.errors import DataError
from inceptorch.training import resume, train
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


def csv_of(root: Path, header: str, *rows: str) -> Path:
    path = root / "list.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def rows_of(root: Path, split: bool) -> list[dict[str, str]]:
    return [
        {
            "path": path.relative_to(root).as_posix(),
            "label": path.parent.name,
            **({"split": path.parents[1].name} if split else {}),
        }
        for path in sorted(root.rglob("*.png"), reverse=True)
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_list_with_splits_is_what_the_folders_are(images: Path, kind: str) -> None:
    rows = rows_of(images, split=True)
    data = images / f"list.{kind}"
    if kind == "csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    else:
        lines = [*map(json.dumps, rows), ""]
    data.write_text("\n".join(lines))
    for listed, found in zip(find_train_and_val(data, 0.2, 0), find_train_and_val(images, 0.2, 0), strict=True):
        assert listed.paths == found.paths
        assert listed.labels.tolist() == found.labels.tolist()
        assert (listed.classes, listed.name) == (found.classes, found.name)
        assert listed.read(5) == found.read(5)
        assert fingerprint(listed) == fingerprint(found)
        assert listed.file(0) == found.file(0)
    assert len(find_split(data, CLASSES, "val")) == len(find_split(data, CLASSES)) == 12


def test_a_list_without_splits_is_divided_as_a_folder_is(images: Path) -> None:
    root = images / "train"
    lines = [json.dumps(row) for row in rows_of(root, split=False)]
    (root / "list.jsonl").write_text("\n".join(lines))
    listed, found = (find_train_and_val(data, 0.2, 3) for data in (root / "list.jsonl", root))
    assert [part.paths for part in listed] == [part.paths for part in found]
    assert fingerprint(*listed) == fingerprint(*found)


def test_a_broken_image_of_a_list_is_named(images: Path) -> None:
    (images / "broken.jpg").write_bytes(b"")
    data = csv_of(images, "label,path", "red,train/red/00.png", "red,broken.jpg", "blue,val/blue/00.png")
    kept, skipped = without_unreadable(find_split(data, CLASSES), QUIET)
    assert [one["file"] for one in skipped] == [str(images / "broken.jpg")]
    assert len(kept) == 2


RED, BLUE = "train/red/00.png", "train/blue/00.png"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["path,class", f"{RED},red"], "list.csv, line 1: there is no column 'label', only 'path', 'class'; the first"),
        (["path;label", f"{RED};red"], "list.csv, line 1: there is no column 'path', only 'path;label'; the first"),
        ([""], "list.csv, line 1: there is no column 'path', nor any other; the first"),
        (["path,label,label ", f"{RED},red,red"], "list.csv, line 1: the column 'label' is there twice"),
        (
            ["path,label", f"{RED},red", f"{BLUE},blue, dark"],
            "list.csv, line 3 has more fields than the 2 columns of line 1; quote the label",
        ),
        (["path,label", f"{RED},red", f"{BLUE},"], "list.csv, line 3: the label is empty"),
        (["path,label", f"{RED},red", BLUE], "list.csv, line 3: the label is empty"),
        (["path,label", ",red"], "list.csv, line 2: the path is empty"),
        (["path,label", f"{RED},red", "none.jpg,red"], r"list.csv, line 3: .*none.jpg does not exist"),
        (["path,label,split", f"{RED},red,tran"], "list.csv, line 2: there is no split 'tran'; did you mean 'train'"),
        (["path,label,split", f"{RED},red,train", f"{BLUE},blue,"], "list.csv, line 3: the split is empty"),
        (["path,label", f"{RED},red", f"{RED},blue"], f"list.csv, line 3 lists {RED} again, which line 2 has"),
        (["path,label", f"{RED},red", f"./{RED},blue"], f"list.csv, line 3 lists ./{RED} again, which line 2 has"),
        (["path,label", f"val/../{RED},red", f"{RED},red"], f"list.csv, line 3 lists {RED} again, which line 2 has"),
        (["path,label"], "list.csv lists no images"),
        (["path,label", f'{RED},"red'], "list.csv is not a table of comma-separated values: .*line 2"),
        (["path,label,split", f"{RED},red,val"], "list.csv has val but no train. Add the images"),
        (["path,label", f"{RED},red"], "the one class 'red'; a classifier needs at least two"),
    ],
)
def test_faults_of_a_table_name_the_line(images: Path, lines: list[str], sentence: str) -> None:
    data = csv_of(images, *lines)
    with pytest.raises(DataError, match=sentence):
        find_train_and_val(data, 0.2, 0)


def test_a_image_by_its_whole_path_is_the_same(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv_of(images, "path,label", f"{RED},red", f"{images / RED},red")
    monkeypatch.chdir(images)
    with pytest.raises(DataError, match=f"list.csv, line 3 lists {images / RED} again, which line 2 has"):
        find_train_and_val("list.csv", 0.2, 0)


def test_blanks_around_labels_and_columns_do_not_count(images: Path) -> None:
    rows = [f"train/{name}/{number:02}.png,{name}{' ' * number}, train" for name in CLASSES for number in range(3)]
    data = csv_of(images, "path , label, split", *rows)
    assert find_split(data, CLASSES, "train").counts() == dict.fromkeys(CLASSES, 3)
    data = images / "list.jsonl"
    data.write_text(f'{{"path": "{RED}", "label": "red"}}\n{{"path": "{BLUE}", "label": " red\\n"}}\n')
    assert find_split(data, CLASSES).counts() == {"blue": 0, "green": 0, "red": 2}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "line 2 is not a JSON object"),
        ("[1]", "line 2 is not a JSON object"),
        ('{"path": "train/blue/00.png"}', "line 2 has no 'label', only 'path'; every line"),
        ('{"path": "train/blue/00.png", "label": null}', "line 2: the label is empty"),
        ('{"path": 7, "label": "red"}', "line 2: the path is 7; it must be text"),
        ('{"path": "a\\u0000b", "label": "red"}', "line 2: the path is .*not text"),
        ('{"path": "a", "label": "\\ud800"}', "line 2: the label is .*not text"),
        (
            '{"path": "train/blue/00.png", "label": "red", "split": "train"}',
            "some rows have a split and some have none",
        ),
    ],
)
def test_faults_of_lines_of_json_name_the_line(images: Path, line: str, sentence: str) -> None:
    data = images / "list.jsonl"
    data.write_text(f'{{"path": "{RED}", "label": 3}}\n{line}\n')
    with pytest.raises(DataError, match=sentence):
        find_train_and_val(data, 0.2, 0)


def test_a_list_in_another_encoding_is_refused(images: Path) -> None:
    (images / "list.csv").write_bytes("path,label\nä,b\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"list.csv is not text in UTF-8"):
        find_split(images / "list.csv", CLASSES)


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
    with pytest.raises(DataError, match="has no val; it has train and test"):
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
        match=f"MNIST:{tmp_path} could not be had from {tmp_path}, nor be downloaded: .*fetch train-images-idx3-ubyte.gz"
        f".* from http://127.0.0.1:9/ in another way and put them into {tmp_path / 'MNIST' / 'raw'}",
    ):
        find_split(f"torchvision:MNIST:{tmp_path}", CLASSES)
    assert capsys.readouterr().out == ""


def test_every_data_set_takes_the_arguments_that_choose_its_parts(tmp_path: Path) -> None:
    for name, parts in named.DATASETS.items():
        make = getattr(datasets, name)
        assert set(parts) in ({""}, {"train", "test"}, {"train", "val"}, {"train", "val", "test"})
        assert "download" in inspect.signature(make).parameters or name in named.NOT_DOWNLOADED
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
    with pytest.raises(DataError, match=f"MNIST:{tmp_path / 'sets'} could not be had from {tmp_path / 'sets'}: "):
        resume(run, QUIET)
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("torchvision:CIFAR", "Cannot read torchvision's data set 'CIFAR': did you mean 'CIFAR10'"),
        ("torchvision:", "write it as torchvision:NAME"),
        ("torchvision:EMNIST:none", "Cannot read torchvision's data set 'EMNIST': did you mean 'MNIST'"),
        ("torchvision:ImageNet:none", "could not be had from none: "),
    ],
)
def test_data_sets_that_are_refused(data: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        find_split(data, CLASSES)


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [absolute(data) for data in ("flowers", "torchvision:MNIST", "torchvision:MNIST:sets")] == [
        f"{tmp_path}/flowers",
        "torchvision:MNIST",
        f"torchvision:MNIST:{tmp_path}/sets",
    ]
    names = [short_name(data) for data in ("flowers/", "flowers.zip", "torchvision:MNIST:sets", ".")]
    assert names == ["flowers", "flowers", "MNIST", tmp_path.name]
    run = Path("flowers/run")
    assert [lies_inside(run, data) for data in ("flowers", "other", "torchvision:MNIST:flowers")] == [True, False, True]
