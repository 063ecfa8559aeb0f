"""`check` as a whole: every planted fault is found, and no other."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from inceptorch.checks import KINDS, check
from inceptorch.data.write_shards import write_shards
from inceptorch.errors import DataError
from synthetic import brightened, compressed, cut, resized
from tests.checks.helpers import QUIET, TIMES, Planted, as_sets, bytes_of, found_in
from tests.helpers import invoke

BOX_KINDS = {  # planted in test_boxes.py
    "invalid-annotation", "unknown-class", "missing-image", "missing-annotation", "size-mismatch", "invalid-box",
    "box-outside", "duplicate-boxes", "thin-box", "box-orientation", "small-box", "full-box", "fractions",
    "unknown-split",
}  # fmt: skip


def state_of(root: Path) -> dict[str, tuple[str, int]]:
    """Every file's content and time of change, and every folder's time."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", path.stat().st_mtime_ns)
        for path in (root, *sorted(root.rglob("*")))
    }


def test_every_fault_is_found_and_none_invented(planted: Planted, home: Path, tmp_path: Path) -> None:
    before = state_of(planted.root)
    findings = check(planted.root, max_megapixels=0.2, progress=QUIET)
    assert {kind: len(files) for kind, files in planted.expected.items()} == dict.fromkeys(planted.expected, TIMES)
    assert set(planted.expected) == set(KINDS) - {"nothing-to-train-on", "doubtful-label", "missing"} - BOX_KINDS
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


@pytest.mark.slow
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


def test_images_that_a_list_names_and_that_do_not_exist_are_findings(images: Path, home: Path) -> None:
    rows = [f"{path},{path.parent.name}" for path in sorted((images / "train").rglob("*.png"))]
    listed = images / "list.csv"
    listed.write_text("\n".join(["path,label", *rows, "train/red/none.png,red", "none.png,blue"]))
    findings = check(listed, near_duplicates=False, progress=QUIET)
    missing = [(each.files, each.note) for each in findings.items if each.kind == "missing"]
    assert missing == [((str(images / name),), "does not exist") for name in ("none.png", "train/red/none.png")]
    assert len(findings.scan) == len(rows) + 2
    assert not findings.safe

    listed.write_text("path,label\nnone.png,red\nnone2.png,blue\n")
    with pytest.raises(DataError, match=r"none2.png does not exist. Try paths relative to the folder of list.csv"):
        check(listed, progress=QUIET)
