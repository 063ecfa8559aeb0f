"""Predictions as Parquet, which is readable only when complete: until then, its chunks lie in a folder beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inceptorch.errors import RunError
from inceptorch.inference.inputs import Entry
from inceptorch.inference.pipeline import in_batches
from inceptorch.inference.writers.base import PredictionWriter
from inceptorch.utils.files import atomic_write, ensure_empty, make_folder

CHUNKS_PER_GROUP = 64

PREDICTION = pa.struct([("label", pa.string()), ("index", pa.int32()), ("probability", pa.float32())])
PREDICTIONS = pa.schema(
    [("file", pa.string()), ("predictions", pa.list_(PREDICTION)), ("unknown", pa.bool_()), ("error", pa.string())]
)
DISTANCES = PREDICTIONS.insert(3, pa.field("distance", pa.float64())).insert(
    4, pa.field("out_of_distribution", pa.bool_())
)
BOX = pa.struct(
    [("label", pa.string()), ("index", pa.int32()), ("score", pa.float32()), ("box", pa.list_(pa.float64(), 4))]
)
BOXES = pa.schema([("file", pa.string()), ("boxes", pa.list_(BOX)), ("error", pa.string())])


class Parquet(PredictionWriter):
    """A row for each image, with the columns of `predict --json`; null where they do not apply."""

    def __init__(self, path: Path, provenance: dict[str, Any], images_per_batch: int, schema: Any):
        self.schema = schema
        super().__init__(path, provenance, images_per_batch)

    def _begin(self, new: bool) -> None:
        self.chunks = self.path.with_name(f"{self.path.name}.part")
        if new:
            ensure_empty(self.chunks)
        make_folder(self.chunks)

    def _append(self, entries: list[Entry]) -> None:
        table = pa.Table.from_pylist([_in_unicode(entry) for entry in entries], self.schema)
        name = f"{self.state.done:012d}.parquet"  # a chunk that is not in the sidecar is replaced
        atomic_write(self.chunks / name, lambda temporary: pq.write_table(table, temporary), self.path)

    def _complete(self) -> None:
        atomic_write(self.path, self._join)

    def _join(self, target: Path) -> None:
        files = sorted(self.chunks.glob("*.parquet"))
        rows = 0
        with pq.ParquetWriter(target, self.schema) as writer:
            for some in in_batches(files, CHUNKS_PER_GROUP):
                table = pa.concat_tables([pq.read_table(file) for file in some])
                rows += len(table)
                writer.write_table(table)
        if rows != self.state.done:
            raise RunError(
                f"Cannot resume {self.path}: {self.chunks} has lost chunks. Delete it and {self.sidecar} to begin anew."
            )

    def finish(self) -> None:
        super().finish()
        self._guarded(lambda: shutil.rmtree(self.chunks))


def _in_unicode(entry: Entry) -> dict[str, Any]:
    return {**entry, "file": entry["file"].encode("utf-8", "backslashreplace").decode()}
