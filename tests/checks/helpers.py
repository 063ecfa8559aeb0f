"""Folders with planted faults."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inceptorch.checks import Findings
from inceptorch.checks.images import SUFFIXES_OF
from inceptorch.utils.progress import Progress
from synthetic import brightened, compressed, cut, resized, scenes
from tests.helpers import png

QUIET = Progress(quiet=True)


LONG_AGO = 1_600_000_000


WIDTH, HEIGHT = 120, 96


TIMES = 5  # each fault is there


EVALUATED, FEW, MANY = 2, 11, 105  # images of a class in val and in train; of the largest


Found = dict[str, set[frozenset[str]]]


class Scenes:
    """Images no two of which are alike, one after the other."""

    def __init__(self, seed: int = 0, count: int = 2000):
        self._coming: Iterator[NDArray[np.uint8]] = scenes(count, WIDTH, seed)

    def next(self) -> Image.Image:
        return Image.fromarray(next(self._coming)[:HEIGHT])


def bytes_of(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 92} if kind == "JPEG" else {}) | options)
    return file.getvalue()


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def settle(root: Path) -> None:
    """Only what did not change just now is remembered."""
    for path in (root, *root.rglob("*")):
        os.utime(path, (LONG_AGO, LONG_AGO))


def found_in(findings: Findings, root: Path) -> Found:
    return as_sets(findings.to_dict()["findings"], root)


def as_sets(findings: Iterable[dict[str, list[str]]], root: Path) -> Found:
    """The files of every finding by its kind, relative to the data."""
    found: Found = {}
    for one in findings:
        files = frozenset(file.removeprefix(f"{root}/") for file in one["files"])
        mine = found.setdefault(str(one["kind"]), set())
        assert files not in mine, one
        mine.add(files)
    return found


class Planted:
    """A folder with train and val, without a fault at first; what is put into it is written down."""

    def __init__(self, root: Path):
        self.root = root
        self.scenes = Scenes()
        self.expected: Found = {}
        for name in ("big", "plain", "other"):
            self.fill(f"train/{name}", MANY if name == "big" else FEW)
            self.fill(f"val/{name}", EVALUATED)

    def fill(self, folder: str, count: int) -> None:
        (self.root / folder).mkdir(parents=True)
        for number in range(count):
            self.write(f"{folder}/{number:03}.jpg", bytes_of(self.scenes.next()))

    def write(self, name: str, data: bytes) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name

    def expect(self, kind: str, *files: str) -> None:
        self.expected.setdefault(kind, set()).add(frozenset(files))

    def plant(self, kind: str, name: str, data: bytes) -> None:
        self.expect(kind, self.write(name, data))

    def files(self) -> None:
        """Faults that one file has by itself."""
        scene = self.scenes.next
        floats = bytes_of(Image.fromarray(np.zeros((40, 40), np.float32)), "TIFF")
        for number, (suffix, data) in enumerate(
            [
                ("jpg", b""),
                ("jpg", b"dear diary"),
                ("png", bytes(range(256))),
                ("tif", floats),
                ("jpg", b"\xff\xd8\xff"),
            ]
        ):
            self.plant("unreadable", f"train/plain/unreadable{number}.{suffix}", data)
        for number, (suffix, data) in enumerate(
            [
                ("jpg", halved(bytes_of(scene()))),
                ("jpg", halved(bytes_of(scene(), progressive=True))),
                ("png", halved(bytes_of(scene(), "PNG"))),
                ("bmp", halved(bytes_of(scene(), "BMP"))),
                ("gif", halved(bytes_of(scene(), "GIF"))),
            ]
        ):
            self.plant("truncated", f"train/plain/truncated{number}.{suffix}", data)
        for number in range(TIMES):
            self.plant("huge", f"train/plain/huge{number}.png", png(10_000 + number, 9_000, b"\0"))
            # The end of the image in its middle, as after a download that was patched up.
            self.plant("damaged", f"train/plain/damaged{number}.jpg", halved(bytes_of(scene())) + b"\xff\xd9")
            gray = ImageOps.autocontrast(scene().convert("L"))
            deep = np.asarray(gray).astype(np.uint16) * 16
            self.plant("low-bits", f"train/plain/deep{number}.png", bytes_of(Image.fromarray(deep), "PNG"))
            self.plant(
                "tiny", f"train/plain/tiny{number}.jpg", bytes_of(scene().resize((31 + 9 * number, 24 + number)))
            )
            self.plant("large", f"train/plain/large{number}.jpg", bytes_of(scene().resize((500, 410 + number))))
            level = np.random.default_rng(number).normal(40 * number + 20, 0.7, (80, 80 + number, 3))
            self.plant(
                "blank", f"train/plain/blank{number}.png", bytes_of(Image.fromarray(level.astype(np.uint8)), "PNG")
            )
            exif = Image.Exif()
            exif[0x0112] = (3, 6, 8, 2, 5)[number]
            kind = ("JPEG", "JPEG", "PNG", "TIFF", "WEBP")[number]
            suffix = SUFFIXES_OF[kind][0]
            self.plant("rotated", f"train/plain/rotated{number}{suffix}", bytes_of(scene(), kind, exif=exif))
        for kind, suffix in [("PNG", ".jpg"), ("JPEG", ".png"), ("GIF", ".jpeg"), ("WEBP", ".PNG"), ("BMP", ".tif")]:
            self.plant("misnamed", f"train/plain/misnamed-{kind}{suffix}", bytes_of(scene(), kind))
        for name in ("plain/nosuffix", "plain/odd.jpg_large", "plain/deep/odd.dat", "loose.jpg", "other/copy.jpg.bak"):
            self.plant("ignored", f"train/{name}", bytes_of(scene()))
        for name in ("notes.txt", "labels.json", "deep/LICENSE", "list.csv", "film.mp4"):
            self.plant("no-image", f"train/plain/{name}", b"no image, " + name.encode())

    def duplicates(self) -> None:
        """The same image twice, in a class, across splits and across classes; the same bytes or the same pixels."""
        for kind, first, second in [
            ("duplicates", "train/plain", "train/plain"),
            ("duplicates-across-splits", "train/other", "val/other"),
            ("duplicates-across-classes", "train/plain", "train/other"),
        ]:
            for number in range(TIMES):
                image = self.scenes.next()
                jpeg = bytes_of(image)
                one, other = [
                    ((jpeg, ".jpg"), (jpeg, ".jpg")),
                    ((jpeg, ".jpg"), (bytes_of(Image.open(io.BytesIO(jpeg)), "PNG"), ".png")),
                    ((bytes_of(image, "PNG"), ".png"), (bytes_of(image, "PNG", compress_level=1), ".png")),
                    ((jpeg, ".jpg"), (bytes_of(image, comment=b"taken in May"), ".jpg")),
                    ((bytes_of(image, "BMP"), ".bmp"), (bytes_of(image, "WEBP", lossless=True), ".webp")),
                ][number]
                self.expect(
                    kind,
                    self.write(f"{first}/{kind}{number}a{one[1]}", one[0]),
                    self.write(f"{second}/{kind}{number}b{other[1]}", other[0]),
                )

    def near_duplicates(self) -> None:
        """Nearly the same image twice; once there are three of it."""
        for kind, first, second in [
            ("near-duplicates", "train/plain", "train/plain"),
            ("near-duplicates-across-splits", "train/other", "val/other"),
            ("near-duplicates-across-classes", "train/plain", "train/other"),
        ]:
            for number in range(TIMES):
                image = self.scenes.next()
                changed = [
                    resized(image, 0.6),
                    compressed(image, 35),
                    brightened(image, 1.3),
                    cut(image, 0.03, 0.03, 0.03, 0.03),
                    compressed(brightened(resized(cut(image, 0.02, 0.02, 0.02, 0.02), 0.8), 0.8), 60),
                ][number]
                files = [
                    self.write(f"{first}/{kind}{number}a.jpg", bytes_of(image)),
                    self.write(f"{second}/{kind}{number}b.jpg", bytes_of(changed)),
                ]
                if number == 0:
                    files.append(self.write(f"{first}/{kind}{number}c.jpg", bytes_of(compressed(image, 50))))
                self.expect(kind, *files)

    def classes(self) -> None:
        for number in range(TIMES):
            (self.root / f"train/empty{number}").mkdir()
            self.expect("empty-class", f"train/empty{number}")
            self.fill(f"val/missing{number}", EVALUATED)
            self.expect("missing-in-train", f"val/missing{number}")
            (self.root / f"val/hollow{number}").mkdir()  # of a class that train does not have: no harm
            self.fill(f"train/unvalidated{number}", FEW)
            self.expect("missing-in-val", f"train/unvalidated{number}")
            for name in (f"Two words {number}", f"two_words-{number}"):
                self.fill(f"train/{name}", FEW)
                self.fill(f"val/{name}", EVALUATED)
            folders = [
                f"{part}/{name}" for part in ("train", "val") for name in (f"Two words {number}", f"two_words-{number}")
            ]
            self.expect("similar-class-names", *folders)
            self.fill(f"train/small{number}", 8)
            self.fill(f"val/small{number}", EVALUATED)
            self.expect("small-class", f"train/small{number}")
            self.expect("unbalanced-class", f"train/small{number}")


def clean_folder(root: Path) -> Path:
    """Three classes of twelve images to train on and two to evaluate with."""
    coming = Scenes(seed=7, count=42)
    for part, count in (("train", 12), ("val", 2)):
        for name in ("ash", "elm", "oak"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                (root / part / name / f"{number:02}.jpg").write_bytes(bytes_of(coming.next()))
    settle(root)
    return root
