"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from inceptorch.utils.files import os_error_reason

T = TypeVar("T")
LINE_INTERVAL = 30.0  # seconds


class Progress:
    """Prints lines and tracks loops. With a `log`, lines are also appended to that file."""

    def __init__(self, log: Path | None = None, quiet: bool = False):
        self.log = log
        self.quiet = quiet

    def info(self, line: str) -> None:
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)
        self._log(line)

    def _log(self, line: str) -> None:
        if self.log is not None:
            try:
                with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as file:
                    print(line, file=file)
            except OSError as error:  # the run itself matters more than its log
                log, self.log = self.log, None
                self.info(f"{log} could not be written: {os_error_reason(error)}; going on without it")

    def track(self, items: Iterable[T], total: int, what: str, note: Callable[[], str] | None = None) -> Iterator[T]:
        """Pass `items` on, and show the count of `total`, the speed, and what `note` returns."""
        if self.quiet or total == 0:
            yield from items
        elif sys.stderr.isatty():
            yield from self._bar(items, total, what, note)
        else:
            yield from self._lines(items, total, what, note)

    def _bar(self, items: Iterable[T], total: int, what: str, note: Callable[[], str] | None) -> Iterator[T]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        columns.append(TextColumn("{task.fields[note]}") if note else TimeRemainingColumn())
        start = last = time.monotonic()
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total, note="")
            for done, item in enumerate(items, 1):
                yield item
                bar.update(task, completed=done, note=note() if note else "")
                now = time.monotonic()
                if now - last >= LINE_INTERVAL and done < total:
                    self._log(_line(what, done, total, now - start, note))
                    last = now

    def _lines(self, items: Iterable[T], total: int, what: str, note: Callable[[], str] | None) -> Iterator[T]:
        start = last = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if now - last >= LINE_INTERVAL and done < total:
                self.info(_line(what, done, total, now - start, note))
                last = now


def _line(what: str, done: int, total: int, seconds: float, note: Callable[[], str] | None) -> str:
    line = f"{what}: {done}/{total}, {done / seconds:.3g} per second"
    text = note() if note else ""
    return f"{line}, {text}" if text else line
