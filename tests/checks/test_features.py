"""Near duplicates by the features of a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from inceptorch.checks.check import check
from inceptorch.checks.features import ALIKE, BLOCK, embeddings_of, find_alike
from inceptorch.checks.scan import scan_dataset
from inceptorch.data.resolve import open_splits
from inceptorch.features.embed import embed
from inceptorch.networks.zoo import get_network
from tests.checks.helpers import QUIET
from tests.helpers import classifier_of, detector, invoke


def test_groups_are_those_of_all_pairs_over_blocks() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(BLOCK + 50, 16)).astype(np.float32)
    vectors[BLOCK + 7] = 3 * vectors[5]  # longer, of the same direction
    vectors[30] = vectors[5] + 0.05 * random.normal(size=16)
    vectors[40] = np.nan
    vectors[41] = 0
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    pairs = np.argwhere(np.triu(unit @ unit.T, 1) >= ALIKE)
    assert set(pairs.ravel().tolist()) == {5, 30, BLOCK + 7}
    (group,) = find_alike(vectors, QUIET)
    assert group.members.tolist() == [5, 30, BLOCK + 7]
    assert group.similarity == pytest.approx(float(unit[5] @ unit[30]), abs=1e-6)


def test_of_a_chain_every_image_is_reported_with_one_that_it_is_like() -> None:
    step = np.arccos(ALIKE + 0.01)
    vectors = np.array([[np.cos(step * at), np.sin(step * at)] for at in range(3)], np.float32)
    assert [group.members.tolist() for group in find_alike(vectors, QUIET)] == [[0, 1], [2, 1]]


def test_images_that_cannot_be_read_have_no_embedding(clean: Path, home: Path) -> None:
    (clean / "train" / "ash" / "00.jpg").write_bytes(b"no image")
    splits = {name: find() for name, find in open_splits(clean, allow_missing=True).items()}
    scan = scan_dataset(splits, QUIET)
    bundle = clean.parent / "bundle"
    bundle.mkdir()
    classifier_of(get_network("googlenet_tiny"), classes=3).write(bundle)
    vectors = embeddings_of(scan, bundle, QUIET)
    assert len(vectors) == len(scan)
    assert np.isnan(vectors).any(1).tolist() == (~scan.readable).tolist()


def test_a_mirrored_copy_in_another_split_is_found(clean: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = clean.parent / "bundle"
    bundle.mkdir()
    classifier_of(get_network("googlenet_tiny"), classes=3).write(bundle)
    original = clean / "train" / "ash" / "00.jpg"
    ImageOps.mirror(Image.open(original)).save(clean / "val" / "ash" / "mirrored.png")
    assert not [each for each in check(clean, progress=QUIET).items if "mirrored.png" in str(each.files)]
    # Random weights do not tell images apart as trained ones do, so the threshold is what these two have.
    one, other = embed(bundle, original.parent.parent, progress=QUIET), embed(bundle, clean / "val", progress=QUIET)
    a = one.vectors[one.files.index(str(original))]
    b = other.vectors[other.files.index(str(clean / "val" / "ash" / "mirrored.png"))]
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    monkeypatch.setattr("inceptorch.checks.features.ALIKE", cosine - 1e-5)
    found = check(clean, by_features=bundle, progress=QUIET)
    groups = [each for each in found.items if {str(original), str(clean / "val/ash/mirrored.png")} <= set(each.files)]
    assert "near-duplicates-across-splits" in {group.kind for group in groups}
    assert all(group.note.startswith("cosine of features ") for group in groups)


def test_what_does_not_go_together_is_refused(clean: Path, home: Path) -> None:
    done = invoke("check", clean, "--by-features", "x", "--no-near-duplicates")
    assert "Cannot combine --by-features and --no-near-duplicates" in str(done.exception)
    bundle = clean.parent / "detector"
    bundle.mkdir()
    detector().write(bundle)
    done = invoke("check", clean, "--by-features", bundle)
    assert "Cannot embed images by a detector" in str(done.exception)
