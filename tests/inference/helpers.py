"""Functions that several of these tests use."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.writers import base as writing
from inceptorch.models.module import Model
from tests.conftest import COLORS, TINY
from tests.helpers import invoke


def save(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), list(COLORS)).save(path)
    return path


def entries_of(*words: object) -> list[dict[str, Any]]:
    """What `predict --json` says."""
    found: list[dict[str, Any]] = json.loads(invoke("predict", *words, "--json").stdout)
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of answers."""
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def done(sidecar: Path) -> int:
    try:
        return int(json.loads(sidecar.read_text())["done"])
    except OSError:
        return 0


def begun(bundle: Path, folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose writing failed after its first part of 8 images."""
    monkeypatch.setattr(writing, "CHUNK", 8)
    with monkeypatch.context() as patch:
        patch.setattr(writing.PredictionWriter, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        assert invoke("predict", bundle, folder, "--out", out).exit_code == 130
    assert out.with_name(f"{out.name}.part.json").exists()
