"""Files are written whole or not at all, and YAML is read strictly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inceptorch.errors import DataError, DiskError, ImageError, RunError
from inceptorch.utils.files import (
    atomic_write,
    cache_load,
    cache_store,
    ensure_empty,
    load_yaml,
    locked,
    new_folder,
    open_regular,
    require_regular,
    require_writable,
    write_text,
)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "before")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match=r"Cannot write .*a.txt: no space left on device. What was there"):
        atomic_write(file, fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:

    def fail() -> None:
        with new_folder(tmp_path / "a") as folder:
            (folder / "file").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())
    with new_folder(tmp_path / "a") as folder:
        (folder / "file").touch()
        assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]
    with pytest.raises(RunError, match="already holds files"):
        ensure_empty(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 2", "a.yaml cannot be used: 'a' is set twice, the second time in line 2"),
        ("a: &x 1\nb: *x", "refers to another part of itself"),
        ("[1, 2]: 3", "the key in line 1 is not a word"),
        ("- 1", "must hold values by name"),
        ("a: [", "a.yaml is not YAML: line 1"),
    ],
)
def test_yaml_that_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(DataError, match=sentence):
        load_yaml(tmp_path / "a.yaml", DataError, "write `a: 1`")


def test_yaml_in_the_encodings_of_windows(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "a.yaml").write_bytes("title: Stra\u00dfe\r\n".encode(encoding))
        assert load_yaml(tmp_path / "a.yaml", RunError, "") == {"title": "Stra\u00dfe"}
    (tmp_path / "a.yaml").write_bytes("a: 1".encode("utf-16")[:-1])
    with pytest.raises(RunError, match="a.yaml is not YAML: it is not text in UTF-8"):
        load_yaml(tmp_path / "a.yaml", RunError, "")


def test_a_lock_has_one_owner(tmp_path: Path) -> None:
    lock = locked(tmp_path / "lock", "busy", "unusable")
    with lock, pytest.raises(RunError, match="busy"), locked(tmp_path / "lock", "busy", "unusable"):
        pass
    assert not (tmp_path / "lock").exists()


def test_the_cache_keeps_values_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    said: list[str] = []
    cache_store("a.json", "one", 1, said.append)
    cache_store("a.json", "two", 2, said.append)
    assert cache_load("a.json") == {"one": 1, "two": 2}
    (tmp_path / "home" / "a.json").write_text("{")
    assert cache_load("a.json") == {}
    assert not said


def test_what_killed_processes_left_is_cleared(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f".a.{dead.pid}", f".b.{dead.pid}", f".a.{os.getppid()}", ".a.notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    (tmp_path / f".a.{dead.pid}.tmp").touch()
    with new_folder(tmp_path / "a"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"a", f".b.{dead.pid}", f".a.{os.getppid()}", ".a.notes"}


def test_processes_that_measure_at_once_keep_all(home: Path) -> None:
    code = "import sys; from inceptorch.utils.files import cache_store\n"
    code += "for n in range(20): cache_store('a.json', f'{sys.argv[1]} {n}', n, print)"
    children = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert len(cache_load("a.json")) == 80


def test_pipes_devices_and_folders_are_refused_in_one_way(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipes = {tmp_path / "pipe": "pipe or a device", Path("/dev/zero"): "pipe or a device", tmp_path: "folder"}
    for path, what in pipes.items():
        sentence = f"{path} is a {what}, not a regular file."
        with pytest.raises(DataError, match=re.escape(sentence)):
            require_regular(path, DataError)
        with pytest.raises(ImageError, match=re.escape(sentence)):
            open_regular(path)
    require_regular(tmp_path / "none", DataError)  # which the reader reports
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")


def test_what_is_moved_into_place_is_on_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut loses neither the bytes nor the name: file, then folder, are synced around the move."""
    synced: list[tuple[str, bool]] = []
    sync = os.fsync

    def noting(number: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        synced.append((path.relative_to(tmp_path).as_posix(), (tmp_path / "new").exists()))
        sync(number)

    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not say which file a descriptor is of")
    monkeypatch.setattr(os, "fsync", noting)
    write_text(tmp_path / "new", "text")
    temporary = f".new.{os.getpid()}.tmp"
    assert synced == [(temporary, False), (".", True)]
    synced.clear()
    (tmp_path / "new").unlink()
    with new_folder(tmp_path / "new") as folder:
        (folder / "within").mkdir()
        (folder / "within" / "a.tar").write_bytes(b"written by another library")
    temporary = f".new.{os.getpid()}"
    assert {(f"{temporary}/within/a.tar", False), (f"{temporary}/within", False), (temporary, False)} < set(synced)
    assert synced[-1] == (".", True)


def test_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    image = tmp_path / "in.png"
    image.touch()

    def refused(out: Path, said: str) -> None:
        with pytest.raises(RunError, match=f"Cannot write .*: {said}"):
            require_writable(out, [".png"], [image, None, "googlenet.bvlc"])

    require_writable(tmp_path / "new.PNG", [".png"], [image])
    require_writable(tmp_path / "new.mp4", [".webp", ".mp4"], [image])
    refused(tmp_path / "new.jpg", rf"its name must end in \.png\. Try {tmp_path}/new\.png\.")
    refused(tmp_path / "none" / "new.png", r"there is no folder .*none\. Try another --out\.")
    refused(tmp_path / ("long" * 100) / "new.png", "there is no folder")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "it is a folder")
    refused(image, "it is an input")
    (tmp_path / "link.png").symlink_to(image)
    refused(tmp_path / "link.png", "it is an input")
