"""`inceptorch similar`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inceptorch.features.embed import embed
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from tests.helpers import classifier_of, invoke


def test_the_command_prints_and_shows(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "bundle").mkdir()
    classifier_of(get_network("googlenet_tiny"), classes=3).write(tmp_path / "bundle")
    embeddings = tmp_path / "all.parquet"
    embed(tmp_path / "bundle", images, out=embeddings, progress=Progress(quiet=True))
    query, page = images / "val" / "red" / "00.png", tmp_path / "page.html"
    done = invoke("similar", embeddings, query, "--top", 3, "--out", page)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 1 + 3 + 1
    assert page.read_text().count("<img") == 4
    found = json.loads(invoke("similar", embeddings, query, "--top", 2, "--json").stdout)
    assert [len(each["similar"]) for each in found] == [2]
    done = invoke("similar", embeddings, query, "--out", tmp_path / "page.txt")
    assert "Cannot write" in str(done.exception)
    assert "page.html" in str(done.exception)


def test_an_image_that_cannot_be_read_does_not_stop_the_others(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "bundle").mkdir()
    classifier_of(get_network("googlenet_tiny"), classes=3).write(tmp_path / "bundle")
    (images / "val" / "red" / "01.png").write_bytes(b"no image")
    made = invoke("embed", tmp_path / "bundle", images, "--out", tmp_path / "all.npy", "--json")
    assert made.exit_code == 1
    assert json.loads(made.stdout)["n"] == 47
    queries = [images / "val" / "red" / name for name in ("01.png", "00.png")]
    done = invoke("similar", tmp_path / "all.npy", *queries, "--json")
    assert done.exit_code == 1
    answered, refused = json.loads(done.stdout)
    assert (answered["file"], len(answered["similar"])) == (str(queries[1]), 10)
    assert (refused["file"], refused["error"]) == (str(queries[0]), "is not an image in a format that is read here")
