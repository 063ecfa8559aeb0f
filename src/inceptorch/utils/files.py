"""Writing files whole or not at all, and reading what people write."""

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from inceptorch.errors import DiskError, ImageError, InceptorchError, RunError


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step.

    Whatever happens on the way (a full disk, a killed process), `path` holds either what it held before or all of
    the new content. A link is followed. Raises RunError with the system's reason.
    """
    target = Path(os.path.realpath(path))
    there = os.path.exists(target)
    if there and not target.is_file():
        raise RunError(f"{path} is a folder or a device; name a file.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")  # two processes may write the same
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # some writers make files that their owner alone may read
        write(temporary)
        temporary.chmod(mode)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        untouched = " What was there before is untouched." if there else ""
        raise DiskError(f"{path} could not be written: {os_error_reason(error)}.{untouched}") from None
    finally:
        with suppress(OSError):  # its folder may be none
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    atomic_write(path, lambda temporary: temporary.write_bytes(text.encode("utf-8", "backslashreplace")))


def make_folder(path: Path) -> None:
    """A folder for files of one's own, with those above it, unless it is there already. Raises RunError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} could not be created: {os_error_reason(error)}; name another --out.") from None


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that appears at `path` when the block ends well, and not at all otherwise.

    Raises RunError if `path` has no name of its own, or is a file or a folder with something in it.
    """
    ensure_empty(path)
    if path.name in ("", ".."):  # as "." has none; what stands there would be replaced
        raise RunError(f"{path} is no name for a new folder; name one that is not there yet.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.mkdir()
    except OSError as error:
        raise DiskError(f"{path} could not be created: {os_error_reason(error)}.") from None
    try:
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise DiskError(f"{path} could not be written: {os_error_reason(error)}.") from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def locked(lock: Path, busy: str, unusable: str) -> Iterator[None]:
    """While this lasts, no other process has the lock; a killed one loses it, and so do those that it forked.

    Raises RunError: `busy` where another has it, `unusable` with the reason where the file cannot be made."""
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        raise RunError(busy) from None
    except NotImplementedError:  # a file system without locks
        pass
    except OSError as error:
        raise RunError(f"{unusable}: {os_error_reason(error)}.") from None
    try:
        yield
    finally:
        held.release()
        lock.unlink(missing_ok=True)


@contextmanager
def reading(path: str | Path, error: type[InceptorchError]) -> Iterator[None]:
    """While this lasts, a file that cannot be read, or is not UTF-8 where text is read, is an `error` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise error(f"{path} does not exist.") from None
    except OSError as found:
        raise error(f"{path} could not be read: {os_error_reason(found)}.") from None
    except UnicodeDecodeError:
        raise error(f"{path} is not text in UTF-8; save it as that.") from None


def load_yaml(path: Path, error: type[InceptorchError], example: str) -> dict[str, Any]:
    """What a YAML file says of each name in it. Raises `error`; `example` says how such a file is written."""
    try:
        with reading(path, error):
            values = read_yaml(path)
    except NotYamlError as found:
        raise error(f"{path} is not YAML: {found}; {example}.") from None
    if not isinstance(values, dict):
        raise error(f"{path} must hold values by name; {example}.")
    return values


class NotYamlError(Exception):
    """A file is not YAML as it is read here; the message says where, and fits behind a colon."""


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; its keys are words as they are written. Raises OSError and NotYamlError."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except UnicodeDecodeError:
        raise NotYamlError("it is no text in UTF-8") from None
    except RecursionError:
        raise NotYamlError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # no date, too long a number
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            raise NotYamlError(f"line {error.problem_mark.line + 1}: {error.problem}") from None
        raise NotYamlError(" ".join(str(error).split())) from None


class _Loader(yaml.SafeLoader):
    """YAML whose keys are words as they are written. Refused are a key written twice, of which the second would silently
    win, and references (*name), with which a short file can stand for an endless one."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise NotYamlError("a file read here does not refer to other parts of itself (*name); write them out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        values = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise NotYamlError(f"what stands before the colon in line {line} is not a word")
            if key.value in values:
                raise NotYamlError(f"{key.value!r} is written twice, again in line {line}")
            values[key.value] = self.construct_object(value, deep=True)
        return values


def cache_folder() -> Path:
    """Where things are kept between runs: what INCEPTORCH_HOME names, else inceptorch/ in XDG_CACHE_HOME, else in
    ~/.cache."""
    home = os.environ.get("INCEPTORCH_HOME")
    return Path(home or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "inceptorch").expanduser()


def cache_load(name: str) -> dict[str, Any]:
    """What was measured on this machine, as it is kept between runs in a JSON file of that name; {} if there is none."""
    try:
        found: dict[str, Any] = json.loads((cache_folder() / name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def cache_store(name: str, key: str, value: Any, say: Callable[[str], object]) -> None:
    """Add a measurement to that file; where it cannot be written, `say` so."""
    file = cache_folder() / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(cache_load(name) | {key: value}, indent=1) + "\n")
    except (OSError, RunError) as error:
        say(f"what was measured is not remembered: {error}")


def ensure_empty(path: Path) -> None:
    """Raise RunError if `path` is a file or a folder with something in it."""
    try:
        if path.is_dir():
            if any(path.iterdir()):
                raise RunError(f"{path} already holds files; name another folder, or empty it first.")
        elif path.exists():
            raise RunError(f"{path} is a file; name a folder with --out.")
    except OSError as error:
        raise RunError(f"{path} cannot be used: {os_error_reason(error)}; name another --out.") from None


def open_regular(path: str | Path) -> BinaryIO:
    """A file, open to be read. Raises ImageError for a pipe or a device, which might never come to an end, and OSError."""
    at_once = getattr(os, "O_NONBLOCK", 0)  # without it, a pipe is waited for until somebody writes to it
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | at_once))  # noqa: SIM115 (the caller's)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageError(path, "is a pipe or a device, not a regular file")
    return file


def os_error_reason(error: OSError) -> str:
    """The system's words for what went wrong, in lower case."""
    return (error.strerror or str(error) or type(error).__name__).lower()
