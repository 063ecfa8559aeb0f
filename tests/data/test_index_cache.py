"""The index of earlier runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from inceptorch.data.index_cache import are_among, digests_of, mtime_is_reliable
from inceptorch.data.string_array import UNKNOWN, Files, StringArray
from tests.data.conftest import Seen


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


def test_an_address_is_the_same_from_another_working_directory(
    data: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen.check(data)
    monkeypatch.chdir(data)
    assert seen.check(Path("."))[0] == 1


def test_digests_tell_names_sizes_and_times_apart() -> None:
    names = StringArray(["a.jpg", "b.jpg"])
    sizes, times = np.array([1, 1]), np.array([5, 5])
    digests = digests_of(Files(names, sizes, times))
    assert len(set(digests.tolist())) == 2
    assert are_among(digests, np.sort(digests)).all()
    for other in (Files(names, sizes + 1, times), Files(names, sizes, times + 1)):
        assert not are_among(digests_of(other), np.sort(digests)).any()
    assert mtime_is_reliable(np.array([5, UNKNOWN, 9_000_000_000]), 10_000_000_000).tolist() == [True, False, False]
