"""Shards in a folder."""

import json
import os
import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from inceptorch.data import find_split, find_train_and_val
from inceptorch.data.sources import shards
from inceptorch.data.split import describe_unused_files
from inceptorch.errors import DataError
from inceptorch.evaluation import evaluate, evaluation_from_logits
from inceptorch.report import evaluation_page
from inceptorch.training import train
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS
from tests.data.conftest import foreign

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


def test_shards_of_others_need_no_index(images: Path, tmp_path: Path) -> None:
    red, blue = ((images / "val" / name / "00.png").read_bytes() for name in ("red", "blue"))
    named = tmp_path / "named"
    foreign(
        named / "train-00.tar",
        ("./z/1.seg.png", b"mask"), ("./z/1.png", red), ("./z/1.cls", b"red\n"),
        ("a/2.JPG", blue), ("a/2.json", b'{"label": "blue", "width": 3}'), ("a/2.txt", b"words"),
    )  # fmt: skip
    foreign(named / "val-00.tar", ("3.png", blue), ("3.cls", b"blue"))
    foreign(named / "extra.tar", ("4.png", blue), ("4.cls", b"other"))
    train, val = find_train_and_val(named, 0.2, 0)
    assert train.classes == ("blue", "red")
    assert describe_unused_files((train, val)) == "1 .tar (extra.tar)"
    assert [(train.file(i).removeprefix(f"{named}/"), train.read(i), int(train.labels[i])) for i in (0, 1)] == [
        ("train-00.tar/z/1.png", red, 1),
        ("train-00.tar/a/2.JPG", blue, 0),
    ]
    assert len(val) == 1
    numbered = tmp_path / "numbered"
    for copy in range(2):
        labels = [(f"{label}.cls", str(label).encode()) for label in (10, 0, 2, 1)]
        images_of = [(f"{label}.png", red) for label in (10, 0, 2, 1)]
        foreign(numbered / f"{copy:04}.tar", *labels, *images_of)
    train, _ = find_train_and_val(numbered, 0.2, 0)
    assert train.classes == ("0", "1", "2", "10")


@pytest.mark.parametrize(("digits", "first"), [(19, "9"), (20, "1" + "0" * 19)])
def test_class_names_of_up_to_19_digits_are_numbers(images: Path, tmp_path: Path, digits: int, first: str) -> None:
    red = (images / "val" / "red" / "00.png").read_bytes()
    long = "1" + "0" * (digits - 1)
    labels = [(f"{number}.cls", name.encode()) for number, name in enumerate(("9", long, "9", long))]
    foreign(tmp_path / "shards" / "a.tar", *labels, *((f"{number}.png", red) for number in range(4)))
    train, _ = find_train_and_val(tmp_path / "shards", 0.5, 0)
    assert (train.classes[0], set(train.classes)) == (first, {"9", long})


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("imagenet1k-train-{:04}.tar", "imagenet1k-val-{:04}.tar"),
        ("{:03}_Train.tar", "{:03}_Validation.tar"),
        ("training-{:05}-of-00002.tar", "dev-{:05}-of-00002.tar"),
        ("imagenet_train{:02}.tar", "imagenet_test{:02}.tar"),
    ],
)
def test_a_split_is_a_word_anywhere_in_the_name_of_a_shard(images: Path, tmp_path: Path, train: str, val: str) -> None:
    image = (images / "val" / "red" / "00.png").read_bytes()
    for name, count in ((train, 5), (val, 2)):
        for shard in range(2):
            members = [(f"{number}.{kind}", image) for number in range(count) for kind in ("png",)]
            labels = [(f"{number}.cls", str(number % 2).encode()) for number in range(count)]
            foreign(tmp_path / "shards" / name.format(shard), *members, *labels)
    assert [len(split) for split in find_train_and_val(tmp_path / "shards", 0.2, 0)] == [10, 4]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("train-0.tar", "a-train-1.tar", "more.tar"), "more.tar beside train may be a split or a class"),
        (("train-0.tar", "val-0.tar", "valid-0.tar"), "val and valid all mean val"),
        (("train-0.tar", "Train-0.tar", "val-0.tar"), "Train and train all mean train"),
    ],
)
def test_shards_that_could_be_of_a_split_are_asked_about(
    images: Path, tmp_path: Path, files: tuple[str, ...], sentence: str
) -> None:
    image = (images / "val" / "red" / "00.png").read_bytes()
    for file in files:
        foreign(tmp_path / "shards" / file, ("1.png", image), ("1.cls", b"a"))
    with pytest.raises(DataError, match=f"Cannot tell the splits of {tmp_path}/shards: {sentence}"):
        find_train_and_val(tmp_path / "shards", 0.2, 0)


def test_fields_of_samples(images: Path, tmp_path: Path) -> None:
    red, blue = ((images / "val" / name / "00.png").read_bytes() for name in ("red", "blue"))
    foreign(
        tmp_path / "known" / "a.tar",
        ("1.image.png", red), ("1.label.cls", b"0"), ("1.mask.png", blue),
        ("2.img.png", blue), ("2.target.json", b'{"label": 1}'), ("2.mask.cls", b"7"),
    )  # fmt: skip
    split = find_split(tmp_path / "known", ("0", "1"))
    assert ([split.read(number) for number in (0, 1)], split.labels.tolist()) == ([red, blue], [0, 1])

    for number, (members, sentence) in enumerate(
        [
            (("1.jpg", "1.json", "1.txt"), r"a.tar: 1.jpg has no class, only .json, .txt; it needs 1.cls"),
            (("1.input.jpg", "1.cls"), r"a.tar has no images: 1 has .input.jpg, .cls. Try an image as 1.jpg"),
            (("image.pyd", "label.cls"), r"a.tar has no images: image has .pyd. Try an image as image.jpg"),
            (("image.jpg", "label.cls"), r"a.tar: image.jpg has no class; it needs image.cls"),
            (("1.jpg", "1.png", "1.cls"), r"a.tar: 1.jpg and 1.png are one sample; keep one"),
        ]
    ):
        foreign(tmp_path / str(number) / "a.tar", *((name, b"{}") for name in members))
        with pytest.raises(DataError, match=sentence):
            find_train_and_val(tmp_path / str(number), 0.2, 0)


def test_classes_have_bounds(images: Path, tmp_path: Path) -> None:
    red = (images / "val" / "red" / "00.png").read_bytes()
    for number, (label, sentence) in enumerate(
        [
            (b"1" * 5000, "the name of the class '1111.*1' has 5000 characters, of at most 1000"),
            (b"x" * 30_000_000, "a.tar: 1.cls has 30,000,000 bytes, too many for a class"),
            (b'"' * 0, "a.tar: 1.png has no class, only .cls"),
        ]
    ):
        foreign(tmp_path / str(number) / "a.tar", ("1.png", red), ("1.cls", label), ("2.png", red), ("2.cls", b"2"))
        with pytest.raises(DataError, match=sentence):
            find_train_and_val(tmp_path / str(number), 0.2, 0)


def test_sparse_files_in_a_shard_are_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("1.cls")
    member.size = 512
    member.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "1.cls",
        "GNU.sparse.realsize": "3000000000",
    }
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, BytesIO(b"1\n3000000000\n0\n".ljust(512, b"\0")))
    with pytest.raises(DataError, match="a.tar: 1.cls is stored as a sparse file. Try tar without --sparse"):
        find_train_and_val(tmp_path / "shards", 0.2, 0)


def test_faults_of_shards_in_a_folder(images: Path, written: Path, tmp_path: Path) -> None:
    red = (images / "val" / "red" / "00.png").read_bytes()

    def refused(folder: Path, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence):
            find_train_and_val(folder, 0.2, 0)

    foreign(tmp_path / "bare" / "a.tar", ("7.png", red))
    refused(tmp_path / "bare", r"a.tar: 7.png has no class; it needs 7.cls, or 7.json")
    for half in (b'"\\ud800"', b'"\\udc80"', b'"a\\u0000"'):
        foreign(tmp_path / "bare" / "a.tar", ("7.png", red), ("7.json", b'{"label": %b}' % half))
        refused(tmp_path / "bare", r"a.tar: 7.png has no class")
    (tmp_path / "bare" / "a.tar").write_bytes(b"nonsense" * 200)
    refused(tmp_path / "bare", r"a.tar is not a complete tar file")
    foreign(tmp_path / "bare" / "a.tar", ("7.png", red), ("7.cls", b"x"), ("8.png", red), ("8.cls", b"y"))
    whole = (tmp_path / "bare" / "a.tar").read_bytes()
    (tmp_path / "bare" / "a.tar").write_bytes(whole[: len(red) - 100])
    refused(tmp_path / "bare", r"a.tar is not a complete tar file")
    end = whole.index(b"8.png")
    (tmp_path / "bare" / "a.tar").write_bytes(whole[:end])  # between two files
    refused(tmp_path / "bare", r"a.tar is not a complete tar file")
    (tmp_path / "bare" / "a.tar").write_bytes(whole[:end].ljust(len(whole), b"x"))
    refused(tmp_path / "bare", r"a.tar is not a complete tar file")

    shard = written / "train-000001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:-512])
    refused(written, rf"{shard} has {len(content) - 512} bytes, where index.json says {len(content)}; copy it again")
    shard.unlink()
    refused(written, rf"{shard} is missing, though index.json lists it")
    os.mkfifo(shard)
    refused(written, rf"{shard} is a pipe or a device, not a regular file; put the shard itself there")
    shard.unlink()
    shard.write_bytes(content)
    values = json.loads((written / "index.json").read_text())
    for label in (-1, len(CLASSES)):
        values["shards"][0]["labels"][0] = label
        (written / "index.json").write_text(json.dumps(values))
        refused(written, r"index.json: it is damaged \(the labels of train-000000.tar do not fit\)")
    (written / "index.json").write_text("{")
    refused(written, r"index.json: it is damaged")
    for text in ('{"format": "inceptorch shards 9", "classes": []}', "[]"):
        (written / "index.json").write_text(text)
        refused(
            written, r"index.json: it is in a format that this version does not read. Write the shards again, or delete"
        )


def test_a_shard_of_other_images_is_refused(written: Path) -> None:
    first, second = sorted(written.glob("train-*.tar"))[:2]
    assert first.stat().st_size == second.stat().st_size
    second.write_bytes(first.read_bytes())
    with pytest.raises(DataError, match=f"{second} holds images of other classes than index.json lists; write the sh"):
        find_train_and_val(written, 0.2, 0)


def test_an_index_of_the_library_beside_shards_of_others_is_passed_over(written: Path) -> None:
    (written / "index.json").write_text('{"wids_version": 1, "shardlist": []}')
    assert find_train_and_val(written, 0.2, 0)[0].classes == ("0", "1", "2")


def test_an_index_without_places_serves_in_a_folder(written: Path) -> None:
    expected = find_split(written, CLASSES, "train")
    values = json.loads((written / "index.json").read_text())
    for one in values["shards"]:
        for name in ("names", "starts", "sizes"):
            del one[name]
    (written / "index.json").write_text(json.dumps(values))
    found = find_split(written, CLASSES, "train")
    assert (found.paths, found.labels.tolist()) == (expected.paths, expected.labels.tolist())


def test_shards_are_read_through_once(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in written.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    first = find_split(written, CLASSES, "train")
    scanned = []
    scan = shards.scan

    def noting(file, where, size, changed):  # type: ignore[no-untyped-def]
        scanned.append(Path(where).name)
        return scan(file, where, size, changed)

    monkeypatch.setattr(shards, "scan", noting)
    again = find_split(written, CLASSES, "train")
    assert (scanned, again.paths, again.read(7)) == ([], first.paths, first.read(7))
    (written / "train-000002.tar").touch()
    assert find_split(written, CLASSES, "train").paths == first.paths
    assert scanned == ["train-000002.tar"]


@pytest.mark.slow
def test_mistakes_whose_images_are_gone_are_left_empty(images: Path, tmp_path: Path) -> None:
    split = find_split(images, CLASSES, "train")
    evaluation = evaluation_from_logits(9 * np.eye(3)[(split.labels + 1) % 3], CLASSES, split, [], "")  # all wrong
    html = evaluation_page("t", evaluation, None, 1.0, "inceptorch eval")
    assert html.count("<img") == html.count('class="mistake"') == 24
    shutil.rmtree(images)
    html = evaluation_page("t", evaluation, None, 1.0, "inceptorch eval")
    assert html.count("cannot be read any more") == 24
    assert "<img" not in html


def test_a_classifier_is_evaluated_alike_on_folders_and_shards(
    images: Path, written: Path, recipe: Recipe, tmp_path: Path
) -> None:
    run = train(images, out=tmp_path / "run", recipe=with_values(recipe, {"epochs": 1}), progress=QUIET).run
    found = [evaluate(run, data, progress=QUIET) for data in (images, written)]
    assert [one.n for one in found] == [12, 12]
    assert found[0].loss == pytest.approx(found[1].loss, abs=1e-5)
