"""The scan of images, and its cache."""

from __future__ import annotations

import os
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import features

from inceptorch.checks import check
from inceptorch.checks import scan as scanning
from inceptorch.utils.progress import Progress
from tests.checks.helpers import HEIGHT, LONG_AGO, QUIET, WIDTH, Planted, Scenes, bytes_of, halved, settle


class Decoded:
    """Counts the images that are decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.count = 0
        scan_image = scanning.scan_image

        def counting(data: bytes) -> object:
            self.count += 1
            return scan_image(data)

        monkeypatch.setattr(scanning, "scan_image", counting)

    def check(self, data: Path) -> tuple[int, dict[str, object]]:
        self.count = 0
        findings = check(data, progress=QUIET).to_dict()
        return self.count, findings


class Breaking(Progress):
    """Ctrl-C after so many images, or whatever is to be done then."""

    def __init__(self, after: int):
        super().__init__(quiet=True)
        self.after = after

    def track(self, items, total, what, note=None, done=0, size=None):  # type: ignore[no-untyped-def]
        yield from islice(items, self.after)
        self.break_off()

    def break_off(self) -> None:
        raise KeyboardInterrupt


def test_a_second_check_reads_only_what_is_new_or_broken(
    clean: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / "train" / "oak" / "broken.jpg").write_bytes(b"no image")
    (clean / "train" / "oak" / "gray.jpg").write_bytes(halved(bytes_of(Scenes(seed=8, count=1).next())) + b"\xff\xd9")
    settle(clean)
    decoded = Decoded(monkeypatch)
    count, first = decoded.check(clean)
    assert count == 44
    assert first["counts"] == {"unreadable": 1, "damaged": 1}
    assert decoded.check(clean) == (2, first)
    os.utime(clean / "train" / "ash" / "00.jpg", (LONG_AGO + 1, LONG_AGO + 1))
    assert decoded.check(clean) == (3, first)
    (clean / "val" / "elm" / "00.jpg").touch()  # just now, so that a second change need not show
    for _ in range(2):
        assert decoded.check(clean) == (3, first)


def test_an_interrupted_check_goes_on_and_ends_as_a_whole_one(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "whole"))
    decoded = Decoded(monkeypatch)
    everything, expected = decoded.check(planted.root)
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "broken"))
    with pytest.raises(KeyboardInterrupt):
        check(planted.root, progress=Breaking(after=100))
    count, found = decoded.check(planted.root)
    assert found == expected
    assert count == everything - 100


def test_a_killed_check_loses_only_what_was_read_last(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(scanning, "SAVE_FACTOR", 0)

    class Copying(Breaking):
        def break_off(self) -> None:  # what a kill at this moment would leave
            shutil.copytree(tmp_path / "home", tmp_path / "left")
            raise KeyboardInterrupt

    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    with pytest.raises(KeyboardInterrupt):
        check(clean, progress=Copying(after=20))
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "left"))
    count, found = Decoded(monkeypatch).check(clean)
    assert count in (22, 23)  # of 42: the last one is remembered after it was handed on
    assert found["findings"] == []


@pytest.mark.parametrize("damage", ["cut", "other decoder"])
def test_rows_that_do_not_fit_are_made_anew(
    clean: Path, home: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    decoded = Decoded(monkeypatch)
    assert decoded.check(clean)[0] == 42
    for path in (home / "index").glob("*.images.npz"):
        content = path.read_bytes()
        if damage == "cut":
            path.write_bytes(content[: len(content) // 2])
    if damage == "other decoder":
        monkeypatch.setattr(scanning, "VERSION", "another")
    assert decoded.check(clean)[0] == 42


def test_without_a_place_to_remember_it_says_so(clean: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_text("a file where the folder should be")
    assert check(clean, progress=Progress()).items == []
    assert "Could not cache the image checks: " in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "MPO"])
def test_a_row_of_every_kind_of_file(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    options = {"save_all": True, "append_images": [Scenes(count=1).next()]} if kind == "MPO" else {}
    row, fault = scanning.scan_image(bytes_of(Scenes(count=1).next(), kind, **options))
    rows = np.zeros(1, scanning.RECORD)
    rows[0] = (0, *row)
    assert fault is None
    assert scanning.FORMATS[rows["format"][0]] in (kind, "JPEG" if kind == "MPO" else kind)
    assert (rows["width"][0], rows["height"][0], rows["orientation"][0]) == (WIDTH, HEIGHT, 1)
