"""What a tree holds, as a folder and as a zip file."""

import zipfile
from pathlib import Path

from inceptorch.data.sources.base import is_image, join
from inceptorch.data.sources.folder import Folder
from inceptorch.data.sources.zip import Zip
from tests.conftest import COLORS


def test_files_that_are_no_image_of_a_class(images: Path, tmp_path: Path) -> None:
    (images / "train" / "notes.txt").touch()
    (images / "train" / "beside.png").touch()
    (images / "train" / "red" / "sub").mkdir()
    (images / "train" / "red" / "sub" / "x.xml").touch()
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in images.rglob("*"):
            file.write(path, path.relative_to(images))
    expected = ["train/beside.png", "train/notes.txt", "train/red/sub/x.xml"]
    for tree in (Folder(images), Zip(archive)):
        names, counts, files, others = tree.classes("train")
        assert (names, counts, others) == (list(COLORS), [12, 12, 12], expected)
        assert list(files.names) == [f"train/{name}/{number:02}.png" for name in COLORS for number in range(12)]


def test_paths_and_images_by_name() -> None:
    assert (join("", "a"), join("a", "b")) == ("a", "a/b")
    assert [is_image(name) for name in ("a/b.JPG", "a.jpg/b", "a.txt")] == [True, False, False]
