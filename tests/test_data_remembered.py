"""What is remembered of images between runs: only what has changed is decoded again."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from inceptorch.data import find_split, verify, without_unreadable
from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import Split
from inceptorch.errors import DataError, ImageError
from inceptorch.images.decode import decode
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

CLASSES = tuple(COLORS)
LONG_AGO = 1_600_000_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def data(tmp_path: Path, home: Path) -> Path:
    """Three classes of five images, one of them broken, none touched for a long time."""
    root = tmp_path / "all"
    write_classes(root, 5)
    (root / "red" / "01.png").write_bytes(b"no image")
    settle(root)
    return root


def settle(root: Path) -> None:
    """Nothing is trusted that changed only just now, as its time might not show a second change."""
    for path in (root, *root.rglob("*")):
        os.utime(path, (LONG_AGO, LONG_AGO))


class Seen:
    """Counts the images decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.decoded = 0

        def counting_decode(image: bytes) -> object:
            self.decoded += 1
            return decode(image)

        monkeypatch.setattr(verify, "decode", counting_decode)

    def check(self, data: Path) -> tuple[int, Split, list[str]]:
        """How many images one run decodes; those it keeps and the names of those that it leaves out."""
        self.decoded = 0
        kept, skipped = without_unreadable(find_split(data, CLASSES), Progress(quiet=True))
        return self.decoded, kept, [Path(one["file"]).name for one in skipped]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def test_what_did_not_change_is_not_decoded_again(data: Path, seen: Seen) -> None:
    decoded, first, skipped = seen.check(data)
    assert (decoded, skipped) == (15, ["01.png"])
    decoded, again, skipped = seen.check(data)
    assert (decoded, skipped) == (1, ["01.png"])  # what is broken may have been mended
    assert again.paths == first.paths


def test_only_what_changed_is_decoded_again(data: Path, seen: Seen) -> None:
    seen.check(data)
    shutil.copy(data / "blue" / "00.png", data / "green" / "new.png")
    (data / "green" / "00.png").unlink()
    (data / "blue" / "03.png").write_bytes(b"broken meanwhile")
    shutil.copy(data / "red" / "00.png", data / "red" / "01.png")
    decoded, kept, skipped = seen.check(data)
    assert (decoded, skipped) == (3, ["03.png"])
    assert kept.counts() == {"blue": 4, "green": 5, "red": 5}


def test_what_changed_only_just_now_is_not_trusted(data: Path, seen: Seen) -> None:
    (data / "red" / "00.png").touch()
    seen.check(data)
    assert seen.check(data)[0] == 2


def test_parts_that_were_drawn_share_what_is_remembered(data: Path, seen: Seen) -> None:
    whole = find_split(data, CLASSES)
    seen.decoded = 0
    for part in (whole.select(range(0, 15, 2)), whole.select(range(1, 15, 2)), whole):
        without_unreadable(part, Progress(quiet=True))
    assert seen.decoded == 16  # the broken one twice


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_index_is_made_anew(data: Path, home: Path, seen: Seen, damage: str) -> None:
    seen.check(data)
    (path,) = (home / "index").iterdir()
    content = path.read_bytes()
    path.write_bytes({
        "cut": content[: len(content) // 2],
        "flipped": content[:200] + bytes([content[200] ^ 1]) + content[201:],
        "emptied": b"",
    }[damage])  # fmt: skip
    decoded, _, skipped = seen.check(data)
    assert (decoded, skipped) == (15, ["01.png"])
    assert seen.check(data)[0] == 1


def test_an_index_of_another_folder_does_not_count(data: Path, home: Path, tmp_path: Path, seen: Seen) -> None:
    seen.check(data)
    (checked,) = (home / "index").iterdir()
    shutil.copytree(data, tmp_path / "other")
    assert seen.check(tmp_path / "other")[0] == 15
    (other,) = set((home / "index").iterdir()) - {checked}
    other.write_bytes(checked.read_bytes())
    assert seen.check(tmp_path / "other")[0] == 15


def test_without_a_place_for_the_index_it_takes_time_and_a_line(
    data: Path, home: Path, seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file where the folder should be")
    for _ in range(2):
        kept, _ = without_unreadable(find_split(data, CLASSES), Progress())
        said = capsys.readouterr().err
        assert len(kept) == 14
        assert said.count("\n") == 1
        assert said.startswith("Could not write the image-check cache: ")
    assert seen.decoded == 30


def test_a_passing_fault_is_not_remembered(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(folder: Folder, path: str) -> bytes:
        raise ImageError(path, "could not be read: input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", failing)
        with pytest.raises(DataError, match="input/output error"):
            without_unreadable(find_split(data, CLASSES), Progress(quiet=True))
    assert len(without_unreadable(find_split(data, CLASSES), Progress(quiet=True))[0]) == 14


def test_an_address_is_the_same_from_another_working_directory(
    data: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen.check(data)
    monkeypatch.chdir(data)
    assert seen.check(Path("."))[0] == 1


def test_files_have_their_states_where_folders_cannot_be_opened(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    expected = find_split(data, CLASSES).files
    monkeypatch.setattr(os, "supports_dir_fd", set())  # as on Windows
    monkeypatch.setattr(os, "open", refusing)
    files = find_split(data, CLASSES).files
    assert files.sizes.tolist() == expected.sizes.tolist()
    assert files.changed.tolist() == expected.changed.tolist()
    assert expected.changed.min() > 0


def test_nothing_is_written_into_the_data(data: Path, seen: Seen) -> None:
    before = sorted(data.rglob("*"))
    seen.check(data)
    assert sorted(data.rglob("*")) == before


def test_a_zip_file_is_decoded_again_when_it_changed(data: Path, tmp_path: Path, seen: Seen) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(data.rglob("*.png")):
            file.write(path, path.relative_to(data).as_posix())
    os.utime(archive, (LONG_AGO, LONG_AGO))
    assert seen.check(archive)[0] == 15
    assert seen.check(archive)[0] == 1
    os.utime(archive, (LONG_AGO + 1, LONG_AGO + 1))
    assert seen.check(archive)[0] == 15
