"""Shards that a command of the user's writes to its standard output: from a web server, an object store, another host.

A pipe cannot seek, so pictures come in the order of their shards, a whole shard in memory at a time.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inceptorch.data.address import PIPE
from inceptorch.data.folder import TRAIN, Split
from inceptorch.data.names import UNKNOWN, Files, Names
from inceptorch.data.remembered import Shard
from inceptorch.data.shards import INDEX, Entry, part_of, read_index, scan
from inceptorch.data.source import Batch, Source
from inceptorch.errors import DataError

AT_ONCE = 2  # shards in memory
# The last part of a path with a range of numbers in it, such as train-{000000..000099}.tar.
RANGE = re.compile(r"""(?P<before>[^\s/'"=]*)\{(?P<first>\d+)\.\.(?P<last>\d+)\}(?P<after>[^\s/'"|;&)]*)""")
ONE = re.compile(r"""[^\s/'"=]+\.tar(?![^\s'"|;&)])""")


@dataclass(frozen=True)
class Command:
    """A command with a place for the name of a file."""

    before: str
    after: str

    def of(self, file: str) -> str:
        return self.before + file + self.after


@dataclass(frozen=True)
class Held:
    """A shard in memory."""

    data: bytes
    shard: Shard

    def picture(self, number: int) -> bytes:
        start = int(self.shard.starts[number])
        return self.data[start : start + int(self.shard.sizes[number])]


def parse(data: str) -> tuple[Command, list[str]]:
    """The command behind "pipe:" and the files that its range of numbers means. Raises DataError."""
    command = data.removeprefix(PIPE)
    ranges = list(RANGE.finditer(command))
    if len(ranges) > 1:
        raise DataError(f"{data} has more than one range of numbers; write the command with one.")
    found = ranges[0] if ranges else None
    if found:
        first, last = found["first"], found["last"]
        if int(first) > int(last):
            raise DataError(f"{data}: the range from {first} to {last} runs backwards.")
        files = [
            f"{found['before']}{number:0{len(first)}}{found['after']}" for number in range(int(first), int(last) + 1)
        ]
    else:
        found = ONE.search(command)
        files = [found[0]] if found else []
    if not found or not files:
        raise DataError(
            f"{data} names no shards; write the command with a range of numbers, such as "
            "pipe:cat /data/train-{000000..000099}.tar"
        )
    return Command(command[: found.start()], command[found.end() :]), files


class Piped(Source):
    """Shards behind a command. A picture's name is SHARD/NUMBER, its place among the pictures there."""

    streams = True
    checked = True  # when the shards were made

    def __init__(self, command: Command, entries: Sequence[Entry]):
        self.command = command
        self.entries = {entry.file: entry for entry in entries}
        self._begin()

    def _begin(self) -> None:
        self._kept: dict[str, Held] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._begin()

    def read(self, path: str) -> bytes:
        """The bytes of a picture. Its shard is kept for those that follow. Raises DataError naming the shard."""
        file, _, number = path.rpartition("/")
        with self._lock:
            if file not in self._kept:
                while len(self._kept) >= AT_ONCE:
                    del self._kept[next(iter(self._kept))]
                self._kept[file] = self._fetch(file, Commands())
            return self._kept[file].picture(int(number))

    def label(self, path: str) -> str:
        return path

    def feed(self, paths: Names, shards: NDArray[np.int32] | None, batches: Iterable[Batch]) -> Iterator[Batch]:
        """For each batch of indices a list of (index, the picture's bytes). Only shards that are needed are fetched, the
        next one while one is used. Raises DataError naming the shard that cannot be had."""
        assert shards is not None
        whole = [np.asarray(batch, np.int64) for batch in batches]
        order = np.concatenate([np.zeros(0, np.int64), *whole])
        turns = order[np.flatnonzero(np.diff(shards[order], prepend=-1))]  # the first picture of each turn of a shard
        coming = self._ahead([paths[int(index)].rpartition("/")[0] for index in turns])
        with closing(coming):
            using = -1
            held: Held | None = None
            for batch in whole:
                items = []
                for index in batch.tolist():
                    if held is None or shards[index] != using:
                        held = None  # before the next but one is fetched
                        using, held = shards[index], next(coming)
                    items.append((index, held.picture(int(paths[index].rpartition("/")[2]))))
                yield items

    def _ahead(self, plan: Sequence[str]) -> Generator[Held, None, None]:
        """These shards, each fetched while the one before it is used."""
        self._kept.clear()
        commands = Commands()
        with ThreadPoolExecutor(1) as pool:
            try:
                coming = pool.submit(self._fetch, plan[0], commands) if plan else None
                for following in (*plan[1:], None):
                    if coming is None:
                        return
                    held = coming.result()
                    coming = pool.submit(self._fetch, following, commands) if following else None
                    yield held
            finally:
                commands.stop()

    def _fetch(self, file: str, commands: Commands) -> Held:
        """A shard through the command. Raises DataError."""
        data = commands.output(self.command.of(file), file)
        entry = self.entries[file]
        if len(data) != entry.bytes:
            raise DataError(
                f"{file}: the command gave {len(data)} bytes, where {INDEX} says {entry.bytes}; the shard is cut "
                "off or another one."
            )
        shard = scan(io.BytesIO(data), file, len(data), UNKNOWN)
        if not entry.fits(shard):
            raise DataError(f"{file} holds pictures of other classes than {INDEX} lists; write the shards again.")
        return Held(data, shard)


class Commands:
    """Commands run one after the other, until they are stopped from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def output(self, command: str, what: str) -> bytes:
        """What a command writes to its standard output. Raises DataError if it fails."""
        with self._lock:
            if self._stopped:
                return b""
            # In a session of its own: Ctrl-C is ours to obey, after a checkpoint.
            self._process = process = subprocess.Popen(
                command,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        try:
            data, said = process.communicate()
        except BaseException:  # Ctrl-C reaches us alone
            self.stop()
            raise
        if process.returncode:
            last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise DataError(
                f"{what} could not be read: {command!r} ended with exit code {process.returncode}"
                + (f" and said: {last}" if last else ".")
            )
        return data

    def stop(self) -> None:
        """End the command under way, if there is one."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.returncode is None:
                if hasattr(os, "killpg"):
                    with suppress(ProcessLookupError):
                        os.killpg(self._process.pid, signal.SIGKILL)
                else:  # Windows
                    self._process.kill()


def open_pipe(data: str) -> dict[str, Callable[[], Split]]:
    """How to get each part of "pipe:COMMAND": the shards that the command names, and where these are those to train
    on, the other parts that the index lists. The index comes by the same command. Raises DataError."""
    command, files = parse(data)
    text = Commands().output(command.of(INDEX), INDEX)
    index = read_index(text, f"{INDEX} from {command.of(INDEX)!r}")
    if index is None:
        raise DataError(
            f"{command.of(INDEX)!r} does not give the {INDEX} that `inceptorch shards` writes beside shards."
        )
    entries = {entry.file: entry for entry in index.shards}
    for file in files:
        if file not in entries:
            raise DataError(f"{data}: {file} is not among the {len(entries)} shards that {INDEX} lists.")
    parts = {part_of(files[0]): files}
    if part_of(files[0]) in TRAIN:
        for file in sorted(entries):
            if part_of(file) not in ("", *TRAIN):
                parts.setdefault(part_of(file), []).append(file)
    return {
        part: partial(_part, part, command, [entries[file] for file in files], index.classes)
        for part, files in parts.items()
    }


def _part(part: str, command: Command, entries: Sequence[Entry], classes: tuple[str, ...]) -> Split:
    names = Names(f"{entry.file}/{number:06}" for entry in entries for number in range(len(entry.labels)))
    source = Piped(command, entries)
    labels = np.concatenate([entry.labels for entry in entries])
    shards = np.repeat(np.arange(len(entries), dtype=np.int32), [len(entry.labels) for entry in entries])
    where = f"{PIPE}{command.of(part or INDEX)}"
    return Split(part, where, source, classes, Files.of_names(names), labels, shards)
