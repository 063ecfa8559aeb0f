"""Answers in a file, in parts: each is safe when it is written, so that the same command goes on after the last of
them."""

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
from inceptorch.inference.options import PredictOptions
from inceptorch.utils.files import locked, os_error_reason, write_text
from inceptorch.utils.progress import Progress

PART = 1024  # images
SECONDS = 10.0  # a part is no longer in the making


@dataclass
class State:
    """How far an unfinished file is: what the sidecar holds.

    provenance  model, engine and options
    done        images whose answers are safe
    failed      how many of them could not be read
    names       hash of their names
    bytes       of the file that hold their answers
    """

    provenance: dict[str, Any]
    done: int = 0
    failed: int = 0
    names: str = ""
    bytes: int = 0


class PredictionWriter(ABC):
    """A file of answers in the making, and the sidecar FILE.part.json that says how far it is; without a sidecar, a
    file is finished. `images_per_batch` answers come from one batch: parts hold whole batches, so that an interrupted
    run has the batches of one that was not, and with them its answers to the last bit."""

    def __init__(self, path: Path, provenance: dict[str, Any], images_per_batch: int):
        """Begin a file, or take up one that was begun with the same. Raises RunError for any other file."""
        self.path, self.images_per_batch = path, images_per_batch
        self.sidecar = path.with_name(f"{path.name}.part.json")
        self._waiting: list[Entry] = []
        self._since = time.monotonic()
        new = not self.sidecar.exists()
        if new and path.exists():
            raise RunError(f"{path} is there already; name another --out, or delete it.")
        self.state = State(provenance) if new else self._taken_up(provenance)
        self._begin(new)
        self._remember()

    def _taken_up(self, provenance: dict[str, Any]) -> State:
        anew = f"to begin anew, delete {self.path} and {self.sidecar}"
        try:
            state = State(**json.loads(self.sidecar.read_text(encoding="utf-8")))
            known = list(state.provenance)
            if min(state.done, state.failed, state.bytes) < 0:
                raise ValueError
        except (OSError, ValueError, TypeError, RecursionError):
            raise RunError(f"{self.sidecar} is damaged; {anew}.") from None
        different = [key for key in provenance if key not in known or state.provenance[key] != provenance[key]]
        if different:
            raise RunError(
                f"{self.path} was begun with another {', another '.join(different)}; give the same to go on, or name "
                f"another --out; {anew}."
            )
        return state

    def skip(self, entries: Iterator[Entry]) -> None:
        """Leave out those that are done. Raises RunError if they are not the same."""
        names = ""
        for entry in islice(entries, self.state.done):
            names = _with_name(names, entry)
        if names != self.state.names:
            raise RunError(
                f"{self.path} was begun for other images than those that are there now; name another --out, or delete "
                f"it and {self.sidecar} to begin anew."
            )

    def write(self, entry: Entry) -> None:
        """Take the answer to the next image; it is safe with its part. Raises RunError if it cannot be written."""
        self._waiting.append(entry)
        full = len(self._waiting) >= PART or time.monotonic() - self._since > SECONDS
        if full and len(self._waiting) % self.images_per_batch == 0:
            self.save()

    def save(self) -> None:
        """Make all answers so far safe. Broken off on the way, it loses them, as a kill does; it never writes them
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
            self._remember()
        self._since = time.monotonic()

    def stop(self) -> None:
        """Make safe what came in whole batches, before the end."""
        del self._waiting[len(self._waiting) // self.images_per_batch * self.images_per_batch :]
        self.save()

    def finish(self) -> None:
        """Make the file complete; the sidecar disappears."""
        self.save()
        self._guarded(self._complete)
        self._guarded(self.sidecar.unlink)

    def _remember(self) -> None:
        write_text(self.sidecar, json.dumps(asdict(self.state)) + "\n")

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            raise RunError(
                f"{self.path} could not be written: {os_error_reason(error)}; the same command goes on after image "
                f"{self.state.done}."
            ) from None

    @abstractmethod
    def _begin(self, new: bool) -> None:
        """Make ready what is there for the part behind `state.done`."""

    @abstractmethod
    def _append(self, entries: list[Entry]) -> None:
        """Write a part that no failure of the machine loses."""

    @abstractmethod
    def _complete(self) -> None:
        """Make the file whole, with all parts."""


def _with_name(names: str, entry: Entry) -> str:
    """The hash of names and of one more."""
    return hashlib.sha256((names + entry["file"]).encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """While this lasts, no other process writes the file. Raises RunError where one does."""
    lock = path.with_name(f"{path.name}.part.lock")
    busy = f"Another process is writing {path}; wait for it, or name another --out."
    with locked(lock, busy, f"{path} could not be written"):
        yield


def provenance(engine: Engine, paths: Iterable[Path], options: PredictOptions) -> dict[str, Any]:
    """What a file must have been begun with to be taken up."""
    return {
        "model": fingerprint(engine),
        "engine": f"{engine}, batches of {engine.batch_size}",
        "protocol": options.protocol.to_dict(),
        "top": options.top,
        "threshold": options.min_confidence,
        "list of paths": [str(path.absolute()) for path in paths],
    }


def write_answers(
    output: PredictionWriter,
    paths: list[Path],
    answer: Callable[[Iterator[Entry]], Iterable[Entry]],
    progress: Progress,
) -> State:
    """Write what `answer` says of the images behind `paths`, given their entries, in their order, from the first that
    `output` does not have; what its sidecar held when the file was complete. Raises RunError."""
    entries = image_entries(paths)
    output.skip(entries)
    left = sum(1 for _ in image_entries(paths)) - output.state.done
    try:
        for entry in progress.track(answer(entries), left, "predicting"):
            output.write(entry)
    except (KeyboardInterrupt, SystemExit):
        output.stop()
        progress.info(f"stopped after {output.state.done} images; the same command goes on")
        raise
    output.finish()
    return output.state
