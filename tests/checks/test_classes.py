"""Classes that are missing, empty or too small."""

from __future__ import annotations

import shutil
from pathlib import Path

from inceptorch.checks import check
from tests.checks.helpers import QUIET


def test_a_part_alone_and_one_class_alone_cannot_be_trained_on(clean: Path, home: Path) -> None:
    shutil.move(clean / "train", clean / "test")
    (one,) = check(clean, progress=QUIET).items
    assert (one.kind, set(one.files)) == ("nothing-to-train-on", {str(clean / "test"), str(clean / "val")})
    assert check(clean / "test", progress=QUIET).safe
    for name in ("ash", "elm"):
        shutil.rmtree(clean / "test" / name)
    (one,) = check(clean / "test", progress=QUIET).items
    assert (one.kind, one.files) == ("nothing-to-train-on", (str(clean / "test"),))


def test_a_class_whose_images_cannot_be_read_is_empty(clean: Path, home: Path) -> None:
    for path in (clean / "train" / "ash").iterdir():
        path.write_bytes(b"")
    counts = check(clean, progress=QUIET).to_dict()["counts"]
    assert counts == {"unreadable": 12, "empty-class": 1}
