from pathlib import Path

import numpy as np
import pytest

from inceptorch.errors import DiskError
from inceptorch.features import store as module
from inceptorch.features.store import UNKNOWN_DIGEST, Features, FeatureStore, row_type


def rows(digests: list[int], dim: int = 4) -> np.ndarray:
    found = np.zeros(len(digests), row_type(dim))
    found["digest"], found["width"], found["format"] = digests, digests, b"JPEG"
    found["features"] = np.array(digests)[:, None] + np.arange(dim) / 10
    return found


def test_rows_are_found_again_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 3)
    first = FeatureStore(tmp_path / "kept", 4, {"network": "tiny"})
    places = first.append(rows([5, 6, 7, 8, 9]))
    first.flush()
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    again = FeatureStore(tmp_path / "kept", 4, {"network": "tiny"})
    positions = again.positions(np.array([9, 5, 1, 7], np.uint64))
    assert positions[2].tolist() == [-1, -1]
    features = Features(again.files, positions[[0, 1, 3]])
    np.testing.assert_allclose(features.take()[:, 0], [9, 5, 7])
    assert features.column("width").tolist() == [9, 5, 7]
    assert features.column("format").tolist() == [b"JPEG"] * 3
    assert features.dim == 4
    assert "tiny" in (tmp_path / "kept" / "about.json").read_text()


def test_what_was_not_flushed_is_lost_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    FeatureStore(tmp_path, 4, {}).append(rows([5, 6, 7]))  # and then the process is killed
    again = FeatureStore(tmp_path, 4, {})
    assert (again.positions(np.array([5, 6, 7], np.uint64))[:, 0] >= 0).tolist() == [True, True, False]


def test_images_without_a_digest_are_not_recognized(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 4, {})
    store.append(rows([UNKNOWN_DIGEST, 3]))
    store.flush()
    again = FeatureStore(tmp_path, 4, {})
    assert again.positions(np.array([UNKNOWN_DIGEST, 3], np.uint64))[:, 0].tolist() == [-1, 0]


def test_damaged_and_foreign_files_count_as_missing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 4, {})
    store.append(rows([1, 2]))
    store.flush()
    (file,) = tmp_path.glob("*.npy")
    (tmp_path / "000001-cut.npy").write_bytes(file.read_bytes()[:-3])
    (tmp_path / "000002-empty.npy").write_bytes(b"")
    np.save(tmp_path / "000003-other.npy", rows([3], dim=5))
    again = FeatureStore(tmp_path, 4, {})
    assert len(again.files) == 1
    assert again.positions(np.array([3], np.uint64))[0, 0] == -1


def test_sets_are_joined_in_order_and_read_in_blocks(tmp_path: Path) -> None:
    stores = [FeatureStore(tmp_path / name, 4, {}) for name in "ab"]
    parts = []
    for store, digests in zip(stores, ([1, 2, 3], [4, 5]), strict=True):
        store.append(rows(digests))
        store.flush()
        parts.append(Features(store.files, store.positions(np.array(digests, np.uint64))))
    joined = parts[0] + parts[1]
    assert joined.take()[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert [len(block) for block in joined.blocks(2)] == [2, 2, 1]
    assert np.concatenate(list(joined.blocks(2)))[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert joined.take(np.array([4, 0]))[:, 0].tolist() == [5, 1]


def test_a_cache_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="Cannot create .*file/kept: .* Set INCEPTORCH_HOME to another folder."):
        FeatureStore(tmp_path / "file" / "kept", 4, {})
