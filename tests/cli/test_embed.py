"""`inceptorch embed`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inceptorch.features.embed import read_embeddings
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of, invoke


def test_the_command_writes_and_names_what_it_did(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "bundle").mkdir()
    classifier_of(get_network("googlenet_tiny"), classes=3).write(tmp_path / "bundle")
    out = tmp_path / "a.parquet"
    done = invoke("embed", tmp_path / "bundle", images, "--out", out)
    assert f"48 embeddings of 512 numbers in {out}" in done.stdout
    assert f"inceptorch similar {out} IMAGE" in done.stdout
    found = json.loads(invoke("embed", tmp_path / "bundle", images, "--out", out, "--json").stdout)
    assert (found["n"], found["layer"], found["network"]) == (48, None, "googlenet_tiny")
    assert found["model"] == str(tmp_path / "bundle")
    assert len(read_embeddings(out)) == 48
