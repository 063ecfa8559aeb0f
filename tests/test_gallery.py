"""The script that makes a gallery."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of

SCRIPT = Path(__file__).parents[1] / "docs" / "gallery.py"
NAMES = (
    "38deb4830d12358f", "7d4186ce0332245d", "d47c9aabecda0e12", "9d55997552acf0de", "6740e1e89b5bbab4",
    "0c7ac4a8c9dfa802", "54a6b2cd7f89220e",
)  # fmt: skip
LICENSE = "https://creativecommons.org/licenses/by/2.0/"


def gallery(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True)


def write_photos(folder: Path, header: list[str]) -> None:
    folder.mkdir()
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number, name in enumerate(NAMES):
            noise = np.random.default_rng(number).integers(0, 256, (32, 40, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{name}.png")
            page = "javascript:alert(1)" if number == 0 else f"https://example.org/{number}"
            writer.writerow([f"{name}.png", f"thing {number}", LICENSE, f"<b>Author</b> {number}", page])


@pytest.mark.slow
def test_the_page_names_every_author(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", ["file", "name", "license", "author", "landing_url"])
    classifier_of(get_network("googlenet_tiny"), classes=2).save(tmp_path / "model")
    words = (tmp_path / "photos", "--model", tmp_path / "model", "--size", 96, "--out", tmp_path / "out")
    done = gallery(*words)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "index.html").read_text()
    for number in range(len(NAMES)):
        assert f"thing {number}" in page
        assert f"&lt;b&gt;Author&lt;/b&gt; {number}" in page
    assert f'href="{LICENSE}"' in page
    assert 'href="https://example.org/1"' in page
    assert "javascript:" not in page
    images = sorted((tmp_path / "out").glob("*.jpg"))
    assert len(images) == page.count("<img") > 0
    assert all(f'src="{image.name}"' in page for image in images)
    done = gallery(*words)
    assert done.returncode == 1
    assert "already holds files" in done.stderr


def test_a_folder_without_authors_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", ["file", "name", "license", "owner", "landing_url"])
    done = gallery(tmp_path / "photos", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "labels.csv has no column 'author'" in done.stderr
    assert not (tmp_path / "out").exists()
    assert "labels.csv does not exist." in gallery(tmp_path, "--out", tmp_path / "out").stderr
