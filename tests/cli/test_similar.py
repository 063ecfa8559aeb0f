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
