"""Files of predictions, written in chunks: the same command resumes after the last chunk that is on disk."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from inceptorch.errors import RunError
from inceptorch.inference.engines import Engine, fingerprint
from inceptorch.inference.inputs import Entry, image_entries
from inceptorch.inference.options import BoxOptions, PredictOptions
from inceptorch.utils.files import locked, os_error_reason, write_text
from inceptorch.utils.progress import Progress

CHUNK = 1024  # images
CHUNK_INTERVAL = 10.0  # seconds until a smaller chunk is written


@dataclass
class State:
    """The state of an unfinished file, as in its sidecar.

    provenance  model, engine and options
    done        number of images whose results are on disk
    failed      number of those that could not be read
    names       hash of their names
    bytes       size of their results in the file
    """

    provenance: dict[str, Any]
    done: int = 0
    failed: int = 0
    names: str = ""
    bytes: int = 0


class PredictionWriter(ABC):
    """An unfinished file of predictions, and the sidecar FILE.part.json with its state; a finished file has none.

    Chunks hold whole batches of `images_per_batch` images: an interrupted run then has the batches of one that was not,
    and its predictions to the last bit.
    """

    def __init__(self, path: Path, provenance: dict[str, Any], images_per_batch: int):
        """Begin a file, or resume one of equal provenance. Raises RunError for any other file."""
        self.path, self.images_per_batch = path, images_per_batch
        self.sidecar = sidecar_of(path)
        self._waiting: list[Entry] = []
        self._since = time.monotonic()
        new = not self.sidecar.exists()
        if new and path.exists():
            raise RunError(f"Cannot write {path}: it exists already. Try another --out, or delete it.")
        self.state = State(provenance) if new else self._resumed(provenance)
        self._begin(new)
        self._save_state()

    def _resumed(self, provenance: dict[str, Any]) -> State:
        anew = f"Delete {self.path} and {self.sidecar} to begin anew."
        try:
            state = State(**json.loads(self.sidecar.read_text(encoding="utf-8")))
            known = list(state.provenance)
            if min(state.done, state.failed, state.bytes) < 0:
                raise ValueError
        except (OSError, ValueError, TypeError, RecursionError):
            raise RunError(f"{self.sidecar} is damaged. {anew}") from None
        different = [key for key in provenance if key not in known or state.provenance[key] != provenance[key]]
        if different:
            raise RunError(
                f"{self.path} was begun with another {', another '.join(different)}. Give the same to resume it, or "
                f"name another --out. {anew}"
            )
        return state

    def skip(self, entries: Iterator[Entry]) -> None:
        """Skip the entries that are done. Raises RunError if they are of other images."""
        names = ""
        for entry in islice(entries, self.state.done):
            names = _with_name(names, entry)
        if names != self.state.names:
            raise RunError(
                f"{self.path} was begun for other images. Name another --out, or delete it and {self.sidecar} to begin "
                "anew."
            )

    def write(self, entry: Entry) -> None:
        """Add the result for the next image; its chunk is written when full. Raises RunError."""
        self._waiting.append(entry)
        full = len(self._waiting) >= CHUNK or time.monotonic() - self._since > CHUNK_INTERVAL
        if full and len(self._waiting) % self.images_per_batch == 0:
            self.save()

    def save(self) -> None:
        """Write the chunk so far. If this is interrupted, the chunk is lost, as by a kill; it is never written
        twice."""
        if self._waiting:
            entries, self._waiting = self._waiting, []
            self._guarded(lambda: self._append(entries))
            names = self.state.names
            for entry in entries:
                names = _with_name(names, entry)
            failed = sum("error" in entry for entry in entries)
            self.state = replace(
                self.state, names=names, failed=self.state.failed + failed, done=self.state.done + len(entries)
            )
            self._save_state()
        self._since = time.monotonic()

    def stop(self) -> None:
        """Write the whole batches of an unfinished chunk."""
        del self._waiting[len(self._waiting) // self.images_per_batch * self.images_per_batch :]
        self.save()

    def finish(self) -> None:
        """Complete the file and delete the sidecar."""
        self.save()
        self._guarded(self._complete)
        self._guarded(self.sidecar.unlink)

    def _save_state(self) -> None:
        write_text(self.sidecar, json.dumps(asdict(self.state)) + "\n", self.path)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            raise RunError(
                f"Cannot write {self.path}: {os_error_reason(error)}. The same command resumes after image "
                f"{self.state.done}."
            ) from None

    @abstractmethod
    def _begin(self, new: bool) -> None:
        """Prepare for the chunk after `state.done`."""

    @abstractmethod
    def _append(self, entries: list[Entry]) -> None:
        """Write a chunk to disk."""

    @abstractmethod
    def _complete(self) -> None:
        """Complete the file."""


def sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def is_unfinished(path: Path) -> bool:
    """Whether a call that was stopped left this file to be resumed."""
    return sidecar_of(path).exists()


def _with_name(names: str, entry: Entry) -> str:
    """The hash of names and one more."""
    return hashlib.sha256((names + entry["file"]).encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Keep other processes from writing the file. Raises RunError where one does."""
    lock = path.with_name(f"{path.name}.part.lock")
    busy = f"Another process is writing {path}. Wait for it, or name another --out."
    with locked(lock, busy, f"Cannot write {path}"):
        yield


def provenance(
    engine: Engine, paths: Iterable[Path], options: PredictOptions | BoxOptions, drawings: Path | None = None
) -> dict[str, Any]:
    """The values that must be equal to resume a file."""
    return {
        "model": fingerprint(engine),
        "engine": f"{engine}, batches of {engine.batch_size}",
        **options.to_dict(),
        "list of paths": [str(path.absolute()) for path in paths],
        **({} if drawings is None else {"folder of drawings": str(drawings.absolute())}),
    }


def write_predictions(
    output: PredictionWriter,
    paths: list[Path],
    predict: Callable[[Iterator[Entry]], Iterable[Entry]],
    progress: Progress,
) -> State:
    """Write the results of `predict` for the images behind `paths`, from the first that `output` lacks, and return the
    final state. Raises RunError."""
    entries = image_entries(paths)
    output.skip(entries)
    left = sum(1 for _ in image_entries(paths, say=progress.info)) - output.state.done
    try:
        for entry in progress.track(predict(entries), left, "predicting"):
            output.write(entry)
    except (KeyboardInterrupt, SystemExit):
        output.stop()
        progress.info(f"stopped after {output.state.done} images; the same command resumes")
        raise
    output.finish()
    return output.state
