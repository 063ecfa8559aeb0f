"""What the tests of data share: zip files, shards, and a folder whose checked images are counted."""

import os
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from inceptorch.data import find_split, verify, without_unreadable
from inceptorch.data.split import Split
from inceptorch.data.write_shards import write_shards
from inceptorch.images.decode import decode
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)
LONG_AGO = 1_600_000_000
SHARD_MB = 0.02  # a handful of the images of these tests


def zipped(folder: Path, target: Path, prefix: str = "", pattern: str = "*.png") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob(pattern)):
            archive.write(path, prefix + path.relative_to(folder).as_posix())
    return target


@pytest.fixture
def written(images: Path, tmp_path: Path) -> Path:
    """The images as shards, about seven of them to train on."""
    out = tmp_path / "shards"
    write_shards(images, out, megabytes=SHARD_MB, progress=QUIET)
    return out


def foreign(path: Path, *members: tuple[str, bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))


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
