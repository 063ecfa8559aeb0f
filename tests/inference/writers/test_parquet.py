"""Parquet files."""

from pathlib import Path

import pytest

from inceptorch.errors import RunError
from tests.helpers import invoke
from tests.inference.helpers import begun


def test_lost_parts_of_a_parquet_file_are_noticed(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.parquet"
    begun(bundle, folder, out, monkeypatch)
    next((tmp_path / "a.parquet.part").iterdir()).unlink()
    result = invoke("predict", bundle, folder, "--out", out)
    assert isinstance(result.exception, RunError)
    assert "has lost chunks" in str(result.exception)
    assert not out.exists()
