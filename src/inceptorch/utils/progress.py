"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from inceptorch.utils.files import os_error_reason

T = TypeVar("T")
LINE_INTERVAL = 10.0  # seconds


def printable(text: str) -> str:
    """`text` on one line; control characters, as in file names, become escapes."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", lambda found: ascii(found[0])[1:-1], text)


class Progress:
    """Prints lines and tracks loops. With a `log`, lines are also appended to that file."""

    def __init__(self, log: Path | None = None, quiet: bool = False):
        self.log = log
        self.quiet = quiet

    def info(self, line: str) -> None:
        if not self.quiet:
            print(printable(line), file=sys.stderr, flush=True)
        self._log(line)

    def _log(self, line: str) -> None:
        if self.log is not None:
            try:
                with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as file:
                    print(line, file=file)
            except OSError as error:  # the run itself matters more than its log
                log, self.log = self.log, None
                self.info(f"cannot write {log}: {os_error_reason(error)}; going on without it")

    def track(
        self,
        items: Iterable[T],
        total: int,
        what: str,
        note: Callable[[], str] | None = None,
        done: int = 0,
        size: Callable[[T], int] = lambda item: 1,
    ) -> Iterator[T]:
        """Pass `items` on, and show how much of `total` is done, the speed, the time left, and what `note` returns.
        Each item counts as its `size`, on top of what was `done` before."""
        if self.quiet or total == 0:
            yield from items
            return
        state = _Tracked(what, total, note, done)
        if sys.stderr.isatty():
            yield from self._bar(items, state, size)
        else:
            yield from self._lines(items, state, size)

    def _bar(self, items: Iterable[T], state: _Tracked, size: Callable[[T], int]) -> Iterator[T]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with Bar(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(state.what, total=state.total, completed=state.done, note="")
            for item in items:
                yield item
                state.add(size(item))
                bar.update(task, completed=state.done, note=state.note() if state.note else "")
                if state.is_due():
                    self._log(state.line())

    def _lines(self, items: Iterable[T], state: _Tracked, size: Callable[[T], int]) -> Iterator[T]:
        for item in items:
            yield item
            state.add(size(item))
            if state.is_due():
                self.info(state.line())


class _Tracked:
    """How far a loop is. The start of a model or of workers comes before the first item and says nothing about the
    pace, which counts from there on."""

    def __init__(self, what: str, total: int, note: Callable[[], str] | None, done: int):
        self.what, self.total, self.note, self.done = what, total, note, done
        self.began: float | None = None
        self.last, self.before = 0.0, done

    def add(self, size: int) -> None:
        """Count an item."""
        self.done += size
        if self.began is None:
            self.began = self.last = time.monotonic()
            self.before = self.done

    def is_due(self) -> bool:
        """Whether a line is due, which then counts as written."""
        now = time.monotonic()
        due = self.before < self.done < self.total and now - self.last >= LINE_INTERVAL
        self.last = now if due else self.last
        return due

    def line(self) -> str:
        speed = (self.done - self.before) / max(time.monotonic() - (self.began or 0.0), 1e-9)
        left = format_duration((self.total - self.done) / max(speed, 1e-9))
        line = f"{self.what}: {self.done}/{self.total}, {speed:.3g} per second, {left} left"
        note = self.note() if self.note else ""
        return f"{line}, {note}" if note else line


def format_duration(seconds: float) -> str:
    """A duration in its largest unit, such as 1.5 h."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}" if seconds < 10 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
