"""Predictions in a file: JSON lines, CSV, Parquet, and COCO JSON for boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inceptorch.errors import RunError, did_you_mean
from inceptorch.inference.engines import Engine
from inceptorch.inference.options import BoxOptions, PredictOptions
from inceptorch.inference.writers.base import (
    PredictionWriter,
    file_lock,
    is_unfinished,
    provenance,
    write_predictions,
)
from inceptorch.inference.writers.coco import Coco
from inceptorch.inference.writers.lines import BoxCsv, Csv, JsonLines

__all__ = ["PredictionWriter", "file_lock", "is_unfinished", "new_writer", "provenance", "write_predictions"]


def new_writer(
    path: Path, provenance: dict[str, Any], engine: Engine, options: PredictOptions | BoxOptions
) -> PredictionWriter:
    """A writer for a new or unfinished file, by its suffix. Raises RunError."""
    kind, size = path.suffix.lower(), options.predictor(engine).images_per_batch
    if kind == ".jsonl":
        return JsonLines(path, provenance, size)
    if kind == ".csv":
        if isinstance(options, BoxOptions):
            return BoxCsv(path, provenance, size)
        more = () if options.distance is None else ("distance", "out_of_distribution")
        return Csv(path, provenance, size, min(options.top, len(engine.config.classes)), more)
    if kind == ".parquet":
        from inceptorch.inference.writers.parquet import BOXES, DISTANCES, PREDICTIONS, Parquet

        if isinstance(options, BoxOptions):
            return Parquet(path, provenance, size, BOXES)
        return Parquet(path, provenance, size, PREDICTIONS if options.distance is None else DISTANCES)
    if kind == ".json" and isinstance(options, BoxOptions):
        return Coco(path, provenance, size, engine.config.classes)
    known = (".jsonl", ".csv", ".parquet", *((".json",) if isinstance(options, BoxOptions) else ()))
    raise RunError(f"Cannot write {path}, as its suffix names no format: {did_you_mean(kind, known)}")
