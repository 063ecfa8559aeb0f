"""Answers as Parquet, which is readable only when it is complete: its parts lie in a folder beside it until then."""

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

PARTS = 64  # that become one row group

ANSWER = pa.struct([("label", pa.string()), ("index", pa.int32()), ("probability", pa.float32())])
SCHEMA = pa.schema(
    [("file", pa.string()), ("predictions", pa.list_(ANSWER)), ("unknown", pa.bool_()), ("error", pa.string())]
)


class Parquet(PredictionWriter):
    """A row for each image: what `predict --json` prints of it, null where it does not apply."""

    def _begin(self, new: bool) -> None:
        self.parts = self.path.with_name(f"{self.path.name}.part")
        if new:
            ensure_empty(self.parts)
        make_folder(self.parts)

    def _append(self, entries: list[Entry]) -> None:
        table = pa.Table.from_pylist([_in_unicode(entry) for entry in entries], SCHEMA)
        name = f"{self.state.done:012d}.parquet"  # a part that the sidecar does not know of is replaced
        atomic_write(self.parts / name, lambda temporary: pq.write_table(table, temporary))

    def _complete(self) -> None:
        atomic_write(self.path, self._join)

    def _join(self, target: Path) -> None:
        files = sorted(self.parts.glob("*.parquet"))
        rows = 0
        with pq.ParquetWriter(target, SCHEMA) as writer:
            for some in in_batches(files, PARTS):
                table = pa.concat_tables([pq.read_table(file) for file in some])
                rows += len(table)
                writer.write_table(table)
        if rows != self.state.done:
            raise RunError(f"{self.parts} has lost parts; delete it and {self.sidecar} to begin anew.")

    def finish(self) -> None:
        super().finish()
        self._guarded(lambda: shutil.rmtree(self.parts))


def _in_unicode(entry: Entry) -> dict[str, Any]:
    return {**entry, "file": entry["file"].encode("utf-8", "backslashreplace").decode()}
