"""Shards: written, and read at random from a folder."""

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from webdataset.tariterators import group_by_keys, tar_file_expander

from inceptorch.data import find_split, find_train_and_val, without_unreadable
from inceptorch.data.sources import shards
from inceptorch.data.write_shards import write_shards
from inceptorch.errors import DataError, ImageError, RunError
from inceptorch.evaluation import evaluate, evaluation_from_logits
from inceptorch.report import evaluation_page
from inceptorch.training import train
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)
SIZE = 0.02  # MB, a handful of the images of these tests


@pytest.fixture
def written(images: Path, tmp_path: Path) -> Path:
    """The images as shards, about seven of them to train on."""
    out = tmp_path / "shards"
    write_shards(images, out, megabytes=SIZE, progress=QUIET)
    return out


def test_shards_hold_the_images_with_their_bytes(images: Path, written: Path) -> None:
    train, val = find_train_and_val(written, 0.2, 0)
    assert (train.name, val.name, train.classes) == ("train", "val", CLASSES)
    assert train.counts() == dict.fromkeys(CLASSES, 12)
    for split, folder in ((train, "train"), (val, "val")):
        expected = {path.read_bytes(): path.parent.name for path in (images / folder).rglob("*.png")}
        assert {split.read(i): split.classes[split.labels[i]] for i in range(len(split))} == expected
    assert train.shards is not None
    assert len(set(train.shards.tolist())) == len(list(written.glob("train-*.tar"))) > 3
    assert all(path.stat().st_size <= SIZE * 1e6 + 10240 for path in written.glob("*.tar"))
    kept, skipped = without_unreadable(train, QUIET)
    assert (len(kept), skipped) == (36, [])
    assert pickle.loads(pickle.dumps(train)).read(5) == train.read(5)
    # Mixed: the shards do not hold a class each.
    assert len(set(train.labels[train.shards == 0].tolist())) > 1


def test_the_library_reads_what_was_written(written: Path) -> None:
    found = []
    for path in sorted(written.glob("train-*.tar")):
        with open(path, "rb") as stream:
            found += group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}]))
    train = find_split(written, CLASSES, "train")
    assert [one["png"] for one in found] == [train.read(index) for index in range(36)]
    assert [int(one["cls"]) for one in found] == train.labels.tolist()


def test_the_same_images_give_the_same_bytes_and_a_seed_another_order(
    images: Path, written: Path, tmp_path: Path
) -> None:
    write_shards(images, tmp_path / "again", megabytes=SIZE, progress=QUIET)
    write_shards(images, tmp_path / "other", megabytes=SIZE, seed=1, progress=QUIET)
    files = sorted(path.name for path in written.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((written / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)
    assert (written / "train-000000.tar").read_bytes() != (tmp_path / "other" / "train-000000.tar").read_bytes()


def test_an_undivided_folder_gives_a_part_to_evaluate_with(images: Path, tmp_path: Path) -> None:
    write_shards(images / "train", tmp_path / "out", val_fraction=0.25, seed=3, progress=QUIET)
    shard_parts = find_train_and_val(tmp_path / "out", 0.5, 0)
    folder_parts = find_train_and_val(images / "train", 0.25, 3)
    for of_shards, of_folder in zip(shard_parts, folder_parts, strict=True):
        assert {of_shards.read(i) for i in range(len(of_shards))} == {of_folder.read(i) for i in range(len(of_folder))}


def test_unreadable_images_are_left_out_and_named(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inceptorch.cli import main

    (images / "train" / "red" / "03.png").write_bytes(b"broken")
    monkeypatch.setattr(sys, "argv", ["inceptorch", "shards", str(images), str(tmp_path / "out"), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert ended.value.code == 0
    assert (said["images"], said["shards"], said["classes"]) == (47, 2, list(CLASSES))
    assert [Path(one["file"]).name for one in said["skipped"]] == ["03.png"]
    assert "left out 1 unreadable image:" in err
    assert len(find_split(tmp_path / "out", CLASSES, "train")) == 35


def test_shards_are_written_whole_or_not_at_all(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(RunError, match="already holds files"):
        write_shards(images, tmp_path / "used", progress=QUIET)
    with pytest.raises(RunError, match="lies inside the images"):
        write_shards(images, images / "out", progress=QUIET)
    for size in (0, math.inf, math.nan):
        with pytest.raises(DataError, match=f"size of a shard is {size:g} MB; it must be above 0, and finite"):
            write_shards(images, tmp_path / "out", megabytes=size, progress=QUIET)
    for share in (0, 1, 20, math.nan):
        with pytest.raises(DataError, match=f"for val is {share:g}; it must be between 0 and 1"):
            write_shards(images, tmp_path / "out", val_fraction=share, progress=QUIET)
    before = sorted(path.name for path in tmp_path.iterdir())
    split = find_split(images, CLASSES, "train")

    class Interrupted(Progress):
        def info(self, line: str) -> None:
            pass

        def track(self, items, total, what, note=None):  # type: ignore[no-untyped-def]
            for number, item in enumerate(items):
                if what == "writing train" and number == 20:
                    raise KeyboardInterrupt
                yield item

    with pytest.raises(KeyboardInterrupt):
        write_shards(images, tmp_path / "out", megabytes=SIZE, progress=Interrupted())
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert len(split) == 36


def test_a_image_that_vanishes_meanwhile_is_named(images: Path, tmp_path: Path) -> None:
    gone = images / "train" / "red" / "03.png"

    class Vanishing(Progress):
        def track(self, items, total, what, note=None):  # type: ignore[no-untyped-def]
            if what == "writing train":
                gone.unlink()
            yield from items

    with pytest.raises(ImageError, match=f"{gone} could not be read: no such file or directory, though it was there"):
        write_shards(images, tmp_path / "out", progress=Vanishing(quiet=True))
    assert not (tmp_path / "out").exists()


def test_the_folder_one_is_in_is_no_new_folder(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for out in (".", "new/.."):
        with pytest.raises(RunError, match="is no name for a new folder"):
            write_shards(images, Path(out), progress=QUIET)
    assert list(Path.cwd().iterdir()) == []


def foreign(path: Path, *members: tuple[str, bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))


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


def test_faults_of_shards_in_a_folder(images: Path, written: Path, tmp_path: Path) -> None:
    red = (images / "val" / "red" / "00.png").read_bytes()

    def refused(folder: Path, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence):
            find_train_and_val(folder, 0.2, 0)

    foreign(tmp_path / "bare" / "a.tar", ("7.png", red))
    refused(tmp_path / "bare", r"a.tar: there is no class beside 7.png; it needs 7.cls, or 7.json")
    for half in (b'"\\ud800"', b'"\\udc80"', b'"a\\u0000"'):
        foreign(tmp_path / "bare" / "a.tar", ("7.png", red), ("7.json", b'{"label": %b}' % half))
        refused(tmp_path / "bare", r"a.tar: there is no class beside 7.png")
    (tmp_path / "bare" / "a.tar").write_bytes(b"nonsense" * 200)
    refused(tmp_path / "bare", r"a.tar is no tar file, or is cut off")
    foreign(tmp_path / "bare" / "a.tar", ("7.png", red), ("7.cls", b"x"), ("8.png", red), ("8.cls", b"y"))
    whole = (tmp_path / "bare" / "a.tar").read_bytes()
    (tmp_path / "bare" / "a.tar").write_bytes(whole[: len(red) - 100])
    refused(tmp_path / "bare", r"a.tar is no tar file, or is cut off")
    end = whole.index(b"8.png")
    (tmp_path / "bare" / "a.tar").write_bytes(whole[:end])  # between two files
    refused(tmp_path / "bare", r"a.tar is no tar file, or is cut off")
    (tmp_path / "bare" / "a.tar").write_bytes(whole[:end].ljust(len(whole), b"x"))
    refused(tmp_path / "bare", r"a.tar is no tar file, or is cut off")

    shard = written / "train-000001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:-512])
    refused(written, rf"{shard} has {len(content) - 512} bytes, where index.json says {len(content)}; copy it again")
    shard.unlink()
    refused(written, rf"{shard} is not there, though index.json lists it")
    os.mkfifo(shard)
    refused(written, rf"{shard} is a pipe or a device, not a regular file; put the shard itself there")
    shard.unlink()
    shard.write_bytes(content)
    values = json.loads((written / "index.json").read_text())
    values["shards"][0]["labels"][0] = 9
    (written / "index.json").write_text(json.dumps(values))
    refused(written, r"index.json is damaged \(the labels of train-000000.tar do not fit\)")
    (written / "index.json").write_text("{")
    refused(written, r"index.json is damaged")
    for text in ('{"format": "inceptorch shards 9", "classes": []}', "[]"):
        (written / "index.json").write_text(text)
        refused(
            written, r"index.json is in a format that this version does not read; write the shards again, or delete"
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


@pytest.mark.parametrize("data", ["pipe:touch trace; cat train-{000000..000002}.tar", "pipe:touch trace"])
def test_a_command_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="shell commands are not run"):
        find_split(data, CLASSES)
    with pytest.raises(DataError, match="shell commands are not run"):
        train(data, out="run", progress=QUIET)
    assert list(tmp_path.iterdir()) == []


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


def test_without_the_library_a_sentence_says_how_to_install_it(images: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['webdataset'] = None; from inceptorch.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "shards", str(images), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert (
        "inceptorch: this needs webdataset, which is not installed; install it with: pip install 'inceptorch[shards]'"
        in done.stderr
    )
