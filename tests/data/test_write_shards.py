"""Shards, as they are written."""

import math
import pickle
from pathlib import Path

import pytest
from webdataset.tariterators import group_by_keys, tar_file_expander

from inceptorch.data import find_split, find_train_and_val, without_unreadable
from inceptorch.data.write_shards import _write_split, write_shards
from inceptorch.errors import DataError, ImageError, RunError
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS
from tests.data.annotations.helpers import write_voc
from tests.data.conftest import SHARD_MB

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


def test_shards_hold_the_images_with_their_bytes(images: Path, written: Path) -> None:
    train, val = find_train_and_val(written, 0.2, 0)
    assert (train.name, val.name, train.classes) == ("train", "val", CLASSES)
    assert train.counts() == dict.fromkeys(CLASSES, 12)
    for split, folder in ((train, "train"), (val, "val")):
        expected = {path.read_bytes(): path.parent.name for path in (images / folder).rglob("*.png")}
        assert {split.read(i): split.classes[split.labels[i]] for i in range(len(split))} == expected
    assert train.shards is not None
    assert len(set(train.shards.tolist())) == len(list(written.glob("train-*.tar"))) > 3
    assert all(path.stat().st_size <= SHARD_MB * 1e6 + 10240 for path in written.glob("*.tar"))
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
    write_shards(images, tmp_path / "again", megabytes=SHARD_MB, progress=QUIET)
    write_shards(images, tmp_path / "other", megabytes=SHARD_MB, seed=1, progress=QUIET)
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
        def say(self, line: str) -> None:
            pass

        def track(self, items, total, what, note=None, done=0, size=None):  # type: ignore[no-untyped-def]
            for number, item in enumerate(items):
                if what == "writing train" and number == 20:
                    raise KeyboardInterrupt
                yield item

    with pytest.raises(KeyboardInterrupt):
        write_shards(images, tmp_path / "out", megabytes=SHARD_MB, progress=Interrupted())
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert len(split) == 36


def test_a_image_that_vanishes_meanwhile_is_named(images: Path, tmp_path: Path) -> None:
    gone = images / "train" / "red" / "03.png"

    class Vanishing(Progress):
        def track(self, items, total, what, note=None, done=0, size=None):  # type: ignore[no-untyped-def]
            if what == "writing train":
                gone.unlink()
            yield from items

    with pytest.raises(ImageError, match=f"{gone} does not exist, though it was there"):
        write_shards(images, tmp_path / "out", progress=Vanishing(quiet=True))
    assert not (tmp_path / "out").exists()


def test_the_folder_one_is_in_is_no_new_folder(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for out in (".", "new/.."):
        with pytest.raises(RunError, match="ends in no name of its own"):
            write_shards(images, Path(out), progress=QUIET)
    assert list(Path.cwd().iterdir()) == []


def test_a_shard_is_full_at_just_its_size(images: Path, tmp_path: Path) -> None:
    """In a tar file, an image takes two headers, a block for its class, and its own blocks of 512 bytes."""
    split = find_split(images, CLASSES, "train")
    room = sum(3 * 512 + -(-len(split.read(index)) // 512) * 512 for index in range(2))
    for limit, count in ((room, 2), (room - 1, 1)):
        assert next(_write_split(tmp_path, "train", split, iter(range(36)), limit)).images == count


def test_images_with_boxes_are_not_packed_as_if_they_had_classes(tmp_path: Path) -> None:
    write_voc(tmp_path / "data")
    with pytest.raises(DataError, match="into shards: its images have boxes, and no classes of their own"):
        write_shards(tmp_path / "data", tmp_path / "out", progress=QUIET)
    assert not (tmp_path / "out").exists()
