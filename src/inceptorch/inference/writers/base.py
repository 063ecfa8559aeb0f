"""Answers in a file, in parts: each is safe when it is written, so that the same command goes on after the last of them."""

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

from inceptorch.data.split import picture_entries
from inceptorch.errors import RunError, did_you_mean
from inceptorch.inference.engines import Engine, described, identity
from inceptorch.inference.forward import pictures_at_once
from inceptorch.inference.options import Asked, Entry
from inceptorch.utils.files import locked, reason, write_text
from inceptorch.utils.progress import Progress

PART = 1024  # pictures
SECONDS = 10.0  # a part is no longer in the making


@dataclass
class State:
    """How far an unfinished file is: what the sidecar holds.

    made_with  model, engine and options
    done       pictures whose answers are safe
    failed     how many of them could not be read
    names      hash of their names
    bytes      of the file that hold their answers
    """

    made_with: dict[str, Any]
    done: int = 0
    failed: int = 0
    names: str = ""
    bytes: int = 0


class Output(ABC):
    """A file of answers in the making, and the sidecar FILE.part.json that says how far it is; without a sidecar, a file
    is finished. `together` answers come from one batch: parts hold whole batches, so that an interrupted run has the
    batches of one that was not, and with them its answers to the last bit."""

    def __init__(self, path: Path, made_with: dict[str, Any], together: int):
        """Begin a file, or take up one that was begun with the same. Raises RunError for any other file."""
        self.path, self.together = path, together
        self.sidecar = path.with_name(f"{path.name}.part.json")
        self._waiting: list[Entry] = []
        self._since = time.monotonic()
        new = not self.sidecar.exists()
        if new and path.exists():
            raise RunError(f"{path} is there already; name another --out, or delete it.")
        self.state = State(made_with) if new else self._taken_up(made_with)
        self._begin(new)
        self._remember()

    def _taken_up(self, made_with: dict[str, Any]) -> State:
        anew = f"to begin anew, delete {self.path} and {self.sidecar}"
        try:
            state = State(**json.loads(self.sidecar.read_text(encoding="utf-8")))
            known = list(state.made_with)
            if min(state.done, state.failed, state.bytes) < 0:
                raise ValueError
        except (OSError, ValueError, TypeError, RecursionError):
            raise RunError(f"{self.sidecar} is damaged; {anew}.") from None
        different = [key for key in made_with if key not in known or state.made_with[key] != made_with[key]]
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
                f"{self.path} was begun for other pictures than those that are there now; name another --out, or delete "
                f"it and {self.sidecar} to begin anew."
            )

    def write(self, entry: Entry) -> None:
        """Take the answer to the next picture; it is safe with its part. Raises RunError if it cannot be written."""
        self._waiting.append(entry)
        full = len(self._waiting) >= PART or time.monotonic() - self._since > SECONDS
        if full and len(self._waiting) % self.together == 0:
            self.save()

    def save(self) -> None:
        """Make all answers so far safe. Broken off on the way, it loses them, as a kill does; it never writes them twice."""
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
        del self._waiting[len(self._waiting) // self.together * self.together :]
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
                f"{self.path} could not be written: {reason(error)}; the same command goes on after picture "
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
def alone(path: Path) -> Iterator[None]:
    """While this lasts, no other process writes the file. Raises RunError where one does."""
    lock = path.with_name(f"{path.name}.part.lock")
    busy = f"Another process is writing {path}; wait for it, or name another --out."
    with locked(lock, busy, f"{path} could not be written"):
        yield


def new_output(path: Path, made_with: dict[str, Any], asked: Asked, engine: Engine) -> Output:
    """The file to write, or to go on with, by the end of its name. Raises RunError."""
    from inceptorch.inference.writers.lines import Csv, JsonLines

    kind, together = path.suffix.lower(), pictures_at_once(engine, asked.protocol)
    if kind == ".jsonl":
        return JsonLines(path, made_with, together)
    if kind == ".csv":
        return Csv(path, made_with, together, min(asked.top, len(engine.classes)))
    if kind == ".parquet":
        from inceptorch.inference.writers.parquet import Parquet

        return Parquet(path, made_with, together)
    raise RunError(f"{path} does not say what to write: {did_you_mean(kind, ('.jsonl', '.csv', '.parquet'))}")


def made_with(engine: Engine, paths: Iterable[Path], asked: Asked) -> dict[str, Any]:
    """What a file must have been begun with to be taken up."""
    return {
        "model": identity(engine),
        "engine": f"{described(engine)}, batches of {engine.batch}",
        "protocol": asked.protocol.to_dict(),
        "top": asked.top,
        "threshold": asked.unknown_below,
        "list of paths": [str(path.absolute()) for path in paths],
    }


def write_answers(
    output: Output, paths: list[Path], answer: Callable[[Iterator[Entry]], Iterable[Entry]], progress: Progress
) -> State:
    """Write what `answer` says of the pictures behind `paths`, given their entries, in their order, from the first that
    `output` does not have; what its sidecar held when the file was complete. Raises RunError."""
    entries = picture_entries(paths)
    output.skip(entries)
    left = sum(1 for _ in picture_entries(paths)) - output.state.done
    try:
        for entry in progress.track(answer(entries), left, "predicting"):
            output.write(entry)
    except (KeyboardInterrupt, SystemExit):
        output.stop()
        progress.say(f"stopped after {output.state.done} pictures; the same command goes on")
        raise
    output.finish()
    return output.state
