"""Predictions in a file: JSON lines, CSV, Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inceptorch.errors import RunError, did_you_mean
from inceptorch.inference.predictor import Predictor
from inceptorch.inference.writers.base import PredictionWriter, file_lock, provenance, write_predictions
from inceptorch.inference.writers.lines import Csv, JsonLines

__all__ = ["PredictionWriter", "file_lock", "new_writer", "provenance", "write_predictions"]


def new_writer(path: Path, provenance: dict[str, Any], predictor: Predictor, top: int) -> PredictionWriter:
    """A writer for a new or unfinished file, by its suffix. Raises RunError."""
    kind, size = path.suffix.lower(), predictor.images_per_batch
    if kind == ".jsonl":
        return JsonLines(path, provenance, size)
    if kind == ".csv":
        return Csv(path, provenance, size, min(top, len(predictor.engine.config.classes)))
    if kind == ".parquet":
        from inceptorch.inference.writers.parquet import Parquet

        return Parquet(path, provenance, size)
    raise RunError(
        f"Cannot write {path}, as its suffix names no format: {did_you_mean(kind, ('.jsonl', '.csv', '.parquet'))}"
    )
