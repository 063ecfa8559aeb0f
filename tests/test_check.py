"""`inceptorch check`: every fault that was put into a folder is found, and none that was not."""

import hashlib
import inspect
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

import inceptorch
from inceptorch.checks import KINDS, Findings, check, page
from inceptorch.checks import near_duplicates as near
from inceptorch.checks import scan as scanning
from inceptorch.checks.images import MAX_MEGAPIXELS, MIN_SIZE, SUFFIXES_OF
from inceptorch.checks.labels import doubtful
from inceptorch.cli import check as verb
from inceptorch.data.write_shards import write_shards
from inceptorch.errors import DataError, RunError
from inceptorch.images.decode import SUFFIXES
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import Progress
from tests.conftest import write_classes
from tests.helpers import brightened, compressed, cut, invoke, png, resized, scenes
from tests.test_report import Page

QUIET = Progress(quiet=True)
LONG_AGO = 1_600_000_000
WIDTH, HEIGHT = 120, 96
TIMES = 5  # each fault is there
EVALUATED, FEW, MANY = 2, 11, 105  # images of a class in val and in train; of the largest

Found = dict[str, set[frozenset[str]]]


class Scenes:
    """Images no two of which are alike, one after the other."""

    def __init__(self, seed: int = 0):
        self._coming: Iterator[NDArray[np.uint8]] = scenes(2000, WIDTH, seed)

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


def state_of(root: Path) -> dict[str, tuple[str, int]]:
    """Every file's content and time of change, and every folder's time."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", path.stat().st_mtime_ns)
        for path in (root, *sorted(root.rglob("*")))
    }


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


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A folder with five of every fault."""
    folder = Planted(tmp_path_factory.mktemp("planted") / "data")
    folder.files()
    folder.duplicates()
    folder.near_duplicates()
    folder.classes()
    settle(folder.root)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three classes of twelve images to train on and two to evaluate with."""
    root, coming = tmp_path / "clean", Scenes(seed=7)
    for part, count in (("train", 12), ("val", 2)):
        for name in ("ash", "elm", "oak"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                (root / part / name / f"{number:02}.jpg").write_bytes(bytes_of(coming.next()))
    settle(root)
    return root


def test_every_fault_is_found_and_none_invented(planted: Planted, home: Path, tmp_path: Path) -> None:
    before = state_of(planted.root)
    findings = check(planted.root, max_megapixels=0.2, progress=QUIET)
    assert {kind: len(files) for kind, files in planted.expected.items()} == dict.fromkeys(planted.expected, TIMES)
    assert set(planted.expected) == set(KINDS) - {"nothing-to-train-on", "doubtful-label"}
    assert found_in(findings, planted.root) == planted.expected
    assert not findings.safe
    assert state_of(planted.root) == before

    result = invoke("check", planted.root, "--max-megapixels", 0.2, "--json", "--out", tmp_path / "page.html")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert as_sets(answer["findings"], planted.root) == planted.expected
    assert all(answer["counts"][kind] == TIMES for kind in planted.expected)
    assert (tmp_path / "page.html").stat().st_size < 5_000_000
    assert state_of(planted.root) == before


def test_a_zip_file_has_the_faults_of_its_folder(planted: Planted, home: Path) -> None:
    archive = planted.root.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(planted.root.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(planted.root).as_posix())
    found = found_in(check(archive, max_megapixels=0.2, progress=QUIET), archive)
    # Folders without files are not in a zip file.
    assert found == {kind: files for kind, files in planted.expected.items() if kind != "empty-class"}


def test_without_the_near_search_the_rest_is_the_same(planted: Planted, home: Path) -> None:
    found = found_in(check(planted.root, max_megapixels=0.2, near_duplicates=False, progress=QUIET), planted.root)
    assert found == {kind: files for kind, files in planted.expected.items() if not kind.startswith("near-")}


def test_a_clean_folder_is_safe(clean: Path, tmp_path: Path, home: Path) -> None:
    assert check(clean, progress=QUIET).items == []
    result = invoke("check", clean, "--out", tmp_path / "found.json")
    assert result.exit_code == 0
    assert "42 images (36 in train, 6 in val) of 3 classes. No faults found: training is safe." in result.stdout
    assert json.loads((tmp_path / "found.json").read_text()) == {
        "data": str(clean),
        "safe": True,
        "images": {"train": 36, "val": 6},
        "classes": 3,
        "counts": {},
        "caveats": [],
        "findings": [],
    }


def test_mistakes_are_said_and_exit_with_2(clean: Path, tmp_path: Path, home: Path) -> None:
    for words, error, sentence in [
        ((tmp_path / "nowhere",), DataError, "does not exist"),
        ((clean / "train" / "ash",), DataError, "has no class folders"),
        ((clean, "--out", tmp_path / "a.txt"), RunError, "must end in .html or .json"),
        ((clean, "--out", clean / "a.json"), RunError, "lies inside the images"),
    ]:
        result = invoke("check", *words)
        assert isinstance(result.exception, error)  # which `main` turns into a sentence and exit code 2
        assert sentence in str(result.exception)
    assert invoke("check").exit_code == 2
    assert not (clean / "a.json").exists()


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


def test_lists_and_shards_are_checked_alike(clean: Path, tmp_path: Path, home: Path) -> None:
    shutil.copy(clean / "train" / "ash" / "00.jpg", clean / "val" / "elm" / "copy.jpg")
    expected = {"duplicates-across-splits": 1, "duplicates-across-classes": 1}
    assert check(clean, progress=QUIET).to_dict()["counts"] == expected
    rows = [f"{path},{path.parent.name},{path.parent.parent.name}" for path in sorted(clean.rglob("*.jpg"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    write_shards(clean, tmp_path / "shards", progress=QUIET)
    for data in (tmp_path / "list.csv", tmp_path / "shards"):
        found = check(data, progress=QUIET)
        assert found.to_dict()["counts"] == expected, data
        assert {len(one.files) for one in found.items} == {2}
        assert "in train and val, as 'ash' and 'elm'" in found.items[0].note


# What is remembered.


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

    def track(self, items, total, what, note=None):  # type: ignore[no-untyped-def]
        yield from islice(items, self.after)
        self.break_off()

    def break_off(self) -> None:
        raise KeyboardInterrupt


def test_a_second_check_reads_only_what_is_new_or_broken(
    clean: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / "train" / "oak" / "broken.jpg").write_bytes(b"no image")
    (clean / "train" / "oak" / "gray.jpg").write_bytes(halved(bytes_of(Scenes(seed=8).next())) + b"\xff\xd9")
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


# The search for near duplicates.


def test_pairs_within_equal_brute_force() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 3000, np.uint64, endpoint=False)
    for number in range(300):  # neighbors at every distance up to 15
        flips = random.choice(64, number % 16, replace=False).tolist()
        hashes[2000 + number] = hashes[number] ^ np.uint64(sum(1 << flip for flip in flips))
    hashes[2500:2540] = hashes[2500]  # a bucket with many in it
    apart = np.bitwise_count(hashes[:, None] ^ hashes)
    for radius in (0, 3, 8, 11, 15):
        found = list(near.pairs_within(hashes, radius))
        pairs = [(min(pair), max(pair)) for a, b in found for pair in zip(a.tolist(), b.tolist(), strict=True)]
        assert len(set(pairs)) == len(pairs)  # each once
        assert set(pairs) == set(zip(*(at.tolist() for at in np.nonzero(np.triu(apart <= radius, 1))), strict=True))
        assert len(pairs) >= 780 + sum(number % 16 <= radius for number in range(300))


def test_pairs_come_in_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "MAX_CANDIDATES", 100)
    hashes = np.zeros(70, np.uint64)
    found = list(near.pairs_within(hashes, near.RADIUS))
    assert sum(len(a) for a, _ in found) == 70 * 69 // 2
    assert max(len(a) for a, _ in found) <= 100


def test_groups_are_joined_whatever_the_order() -> None:
    groups = np.arange(10)
    groups = near._joined(groups, np.array([8, 2, 5]), np.array([9, 1, 2]))
    assert groups.tolist() == [0, 1, 1, 3, 4, 1, 6, 7, 8, 8]
    groups = near._joined(groups, np.array([9, 0]), np.array([5, 3]))
    assert groups.tolist() == [0, 1, 1, 0, 4, 1, 6, 7, 1, 1]


def thumbnails(images: Iterable[Image.Image]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    found = [scanning.thumbnails(np.asarray(image)) for image in images]
    return np.stack([gray for _, gray, _ in found]), np.stack([tint for _, _, tint in found])


def test_flat_images_and_plain_gradients_are_not_all_alike() -> None:
    random = np.random.default_rng(1)
    flat = [np.full((90, 90, 3), level, np.uint8) for level in (0, 3, 128, 252, 255)]
    noisy = [random.normal(128, 6, (90, 90, 3)).astype(np.uint8) for _ in range(5)]
    rise = [
        np.repeat(np.linspace(low, high, 90)[:, None, None], 90, 1).repeat(3, 2).astype(np.uint8)
        for low, high in ((0, 255), (30, 220), (90, 160), (200, 40))
    ]
    dots = []
    for at in (10, 40, 70):  # a small thing on white
        dot = np.full((90, 90, 3), 255, np.uint8)
        dot[at : at + 8, at : at + 12] = 30
        dots.append(dot)
    grain = random.integers(0, 2, (16, 16, 1)).repeat(6, 0).repeat(6, 1).repeat(3, 2)
    grainy = [(level + grain).astype(np.uint8) for level in (60, 120, 200)]  # of one sensor
    grays, tints = thumbnails(map(Image.fromarray, [*flat, *noisy, *rise, *dots, *grainy]))
    groups, _ = near.find_groups(grays, tints, QUIET)
    assert groups.tolist() == list(range(20))
    skies = np.linspace(0, 240, 16)[:, None] + random.normal(0, 3, (2, 16, 16))
    one, other = near.gradients(skies.astype(np.float32))
    assert one @ other < 0.5


def test_a_cut_image_is_found_as_a_part_of_the_whole() -> None:
    coming = Scenes(seed=5)
    whole = [coming.next() for _ in range(40)]
    grays, tints = thumbnails([*whole, *(cut(image, 0.06, 0.06, 0.06, 0.06) for image in whole)])
    numbers = np.arange(40)
    found = near.similarity(grays, tints, numbers, numbers + 40) >= near.SIMILAR
    unmoved = (near.gradients(grays[:40].astype(np.float32)) * near.gradients(grays[40:].astype(np.float32))).sum(1)
    assert found.mean() >= 0.95
    assert (unmoved >= near.SIMILAR).mean() < 0.7


def test_the_same_scene_in_other_colors_is_another_image() -> None:
    scene = Scenes(seed=3).next()
    red, green, blue = scene.split()
    other = Image.merge("RGB", (blue.point(lambda v: 255 - v), green, red))
    copy = compressed(scene, 40)
    grays, tints = thumbnails([scene, other, copy])
    assert near.find_groups(grays, tints, QUIET)[0].tolist()[2] == 0
    assert near.similarity(grays[[0, 0]], tints, np.array([0]), np.array([1]))[0] == -1


def test_many_copies_of_one_image_are_one_group() -> None:
    scene = Scenes(seed=4).next()
    copies = [compressed(scene, quality) for quality in range(30, 90)]
    grays, tints = thumbnails(copies)
    groups, nearest = near.find_groups(grays, tints, QUIET)
    assert set(groups.tolist()) == {0}
    assert nearest.min() > 0.95


# Labels, the page, the documents.


def test_doubtful_labels_by_hand() -> None:
    # Class 0 is believed at 0.8 on average, class 1 at 0.6, class 2 has no images.
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.9, 0], [0.05, 0.85, 0.1], [0.85, 0.05, 0.1]]
    )
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert doubtful(probabilities, labels) == [(5, 0)]
    assert doubtful(probabilities[:5], labels[:5]) == []
    probabilities[2] = [0.2, 0.8, 0]
    assert doubtful(probabilities, labels) == [(5, 0), (2, 1)]
    # Class 0 is never believed much, so only less than that is little.
    assert doubtful(np.array([[0.45, 0.55], [0.35, 0.65], [0.5, 0.5]]), np.array([0, 0, 1])) == [(1, 1)]


def test_a_model_doubts_the_label_that_was_changed(images: Path, recipe: Recipe, tmp_path: Path, home: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(epochs=8), progress=QUIET)
    shutil.move(images / "val" / "red" / "00.png", images / "val" / "blue" / "moved.png")
    result = invoke("check", images, "--model", tmp_path / "run", "--min-size", 8, "--no-near-duplicates", "--json")
    found = [one for one in json.loads(result.stdout)["findings"] if one["kind"] == "doubtful-label"]
    assert [one["files"] for one in found] == [[str(images / "val" / "blue" / "moved.png")]]
    assert "is labelled 'blue'" in found[0]["note"]
    assert "perhaps it is 'red'" in found[0]["note"]
    assert "memorized" in json.loads(result.stdout)["caveats"][0]
    assert result.exit_code == 0  # small classes and doubtful labels are warnings
    shutil.copytree(images / "val" / "red", images / "val" / "crimson")
    with pytest.raises(DataError, match="'crimson' that training did not have"):
        check(images, model=tmp_path / "run", progress=QUIET)


def test_the_model_that_drew_its_split_knows_what_it_was_trained_on(tmp_path: Path, recipe: Recipe, home: Path) -> None:
    write_classes(tmp_path / "all", 10)
    inceptorch.train(tmp_path / "all", out=tmp_path / "run", recipe=recipe, progress=QUIET)
    (caveat,) = check(tmp_path / "all", model=tmp_path / "run", min_size=0, progress=QUIET).caveats
    assert "trained on 24 of these images and evaluated on the other 6" in caveat


def test_the_page_holds_everything_and_asks_for_nothing(planted: Planted, home: Path) -> None:
    hostile = planted.root.parent / "hostile"
    shutil.copytree(planted.root / "train" / "big", hostile / "a" / "<b>&'\"")
    shutil.copytree(planted.root / "train" / "plain", hostile / "b")
    shutil.copy(hostile / "a" / "<b>&'\"" / "000.jpg", hostile / "b" / "same.jpg")
    findings = check(hostile, progress=QUIET)
    html = page.html(findings)
    assert "<b>&'" not in html
    assert "<b>&'\"/000.jpg" in Page(html).text
    asked = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", html)
    for word in ("<script", "http:", "https:", "@import", "url("):
        assert word not in asked
    assert html.count("data:image/jpeg;base64,") >= 2 * TIMES
    text = Page(html).text
    for one in findings.items:
        for file in one.files:
            assert Path(file).name in text


def test_lines_for_the_terminal_name_the_first_of_each_kind(clean: Path, home: Path) -> None:
    for number in range(8):
        shutil.copy(clean / "train" / "ash" / "00.jpg", clean / "train" / "ash" / f"copy{number}.jpg")
        (clean / "train" / "elm" / f"b{number}\n.jpg").write_bytes(b"")
    lines = invoke("check", clean).stdout.splitlines()
    assert lines[0] == "error: unreadable, 8: images that cannot be read"
    assert lines[1].startswith(f"  {clean}/train/elm/b0\\n.jpg is empty")
    assert lines[6] == "  and 3 more"
    assert lines[10].endswith(" and 6 more: the same file, in train, as 'ash'")
    assert lines[-1] == "58 images (52 in train, 6 in val) of 3 classes. 8 errors, 1 warning: training is not safe."


def test_every_suffix_that_is_read_belongs_to_a_kind_of_file() -> None:
    assert {suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes} == SUFFIXES
    assert set(SUFFIXES_OF) == set(scanning.FORMATS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "MPO"])
def test_a_row_of_every_kind_of_file(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    options = {"save_all": True, "append_images": [Scenes().next()]} if kind == "MPO" else {}
    row, complaint = scanning.scan_image(bytes_of(Scenes().next(), kind, **options))
    rows = np.zeros(1, scanning.RECORD)
    rows[0] = (0, *row)
    assert complaint == ""
    assert scanning.FORMATS[rows["format"][0]] in (kind, "JPEG" if kind == "MPO" else kind)
    assert (rows["width"][0], rows["height"][0], rows["orientation"][0]) == (WIDTH, HEIGHT, 1)


def test_the_command_line_has_the_limits_of_python() -> None:
    defaults = {name: one.default for name, one in inspect.signature(verb.check).parameters.items()}
    assert (defaults["min_size"], defaults["max_megapixels"]) == (MIN_SIZE, MAX_MEGAPIXELS)


def test_flowers_with_planted_copies(shared: Path, tmp_path: Path, home: Path) -> None:
    data = tmp_path / "flowers12"
    shutil.copytree(shared / "flowers12", data)
    before = found_in(check(data, progress=QUIET), data)
    told = {name for kind in before.values() for files in kind for name in files}
    lonely = [path for path in sorted((data / "train").glob("*/*.jpg")) if str(path.relative_to(data)) not in told]
    sources = lonely[7::60]
    planted = set()
    for number, source in enumerate(sources[:10]):
        image = Image.open(source).convert("RGB")
        changed = [
            resized(image, 0.7),
            compressed(image, 30),
            brightened(image, 1.25),
            cut(image, 0.03, 0.03, 0.03, 0.03),
            compressed(resized(cut(image, 0.02, 0, 0.02, 0.04), 0.8), 60),
        ][number % 5]
        copy = data / "test" / source.parent.name / f"planted{number}.jpg"
        copy.write_bytes(bytes_of(changed))
        planted.add(frozenset(str(path.relative_to(data)) for path in (source, copy)))
    after = found_in(check(data, progress=QUIET), data)
    kind = "near-duplicates-across-splits"
    assert len(planted) == 10
    assert after.pop(kind) == before.pop(kind, set()) | planted
    assert after == before
