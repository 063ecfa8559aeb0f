"""Files that are written whole or not at all, and YAML."""

import codecs
import glob
import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import yaml

from inceptorch.errors import DiskError, ImageError, InceptorchError, RunError

MARKS = {  # the longer ones first, as one begins like another
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def atomic_write(path: Path, write: Callable[[Path], object], name: Path | None = None) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place; errors call it `name`.

    After a fault, such as a full disk or a killed process, `path` holds what it held before. A link is followed. Raises
    RunError with the system's reason.
    """
    target = Path(os.path.realpath(path))
    existed = os.path.exists(target)
    if existed and not target.is_file():
        raise RunError(f"Cannot write {path}: it is a folder or a device. Try the name of a file.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")  # two processes may write the same
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # some writers make files that their owner alone may read
        write(temporary)
        temporary.chmod(mode)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        untouched = " What was there before is untouched." if existed else ""
        raise DiskError(f"Cannot write {name or path}: {os_error_reason(error)}.{untouched}") from None
    finally:
        with suppress(OSError):  # its folder may be none
            temporary.unlink(missing_ok=True)


def require_writable(
    out: Path, suffixes: Sequence[str], inputs: Iterable[str | Path | None] = (), option: str = "--out"
) -> None:
    """Raise RunError, before the work that fills it, unless `out` has one of the suffixes, can be written, and is none
    of the inputs. `option` is what names it."""
    refusal = f"Cannot write {out}:"
    if os.path.isdir(out):
        raise RunError(f"{refusal} it is a folder. Try {option} {out / 'out'}{suffixes[0]}.")
    if out.suffix.lower() not in suffixes:
        raise RunError(f"{refusal} its name must end in {' or '.join(suffixes)}. Try {out.with_suffix(suffixes[0])}.")
    folder = os.path.dirname(os.path.realpath(out))  # links are followed
    if not os.path.isdir(folder):
        raise RunError(f"{refusal} there is no folder {out.parent}. Try another {option}.")
    if not os.access(folder, os.W_OK):
        raise RunError(f"{refusal} its folder may not be written to. Try another {option}.")
    if os.path.exists(out) and any(each and os.path.exists(each) and os.path.samefile(each, out) for each in inputs):
        raise RunError(f"{refusal} it is an input. Try another {option}.")


def sync_folder(folder: Path) -> None:
    """Have the disk keep which files a folder holds, which a power cut could undo. Some systems cannot."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write_text(path: Path, text: str, name: Path | None = None) -> None:
    """Write a text file whole or not at all; errors call it `name`."""
    atomic_write(path, lambda temporary: temporary.write_bytes(text.encode("utf-8", "backslashreplace")), name)


def make_folder(path: Path) -> None:
    """Create a folder and its parents, unless it exists. Raises RunError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot create {path}: {os_error_reason(error)}. Try another --out.") from None


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which appears at `path` only if the block succeeds. Raises RunError if `path` is in use."""
    ensure_empty(path)
    if path.name in ("", ".."):  # as "." has none; what stands there would be replaced
        raise RunError(f"Cannot create {path}: it ends in no name of its own. Try the name of a new folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.mkdir()
    except OSError as error:
        raise DiskError(f"Cannot create {path}: {os_error_reason(error)}.") from None
    try:
        yield temporary
        _sync_tree(temporary)
        if path.exists():
            path.rmdir()
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise DiskError(f"Cannot write {path}: {os_error_reason(error)}.") from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync_tree(folder: Path) -> None:
    """Have the disk keep all files in a folder, whoever wrote them."""
    for path, _, names in os.walk(folder):
        for name in names:
            with open(Path(path, name), "rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(path))


def remove_leftovers(path: Path) -> None:
    """Delete what killed processes left behind of `path`, from `atomic_write` or `new_folder`."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        process = left.name.removeprefix(f".{path.name}.").removesuffix(".tmp")
        if process.isdecimal() and not _is_alive(int(process)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


@contextmanager
def locked(lock: Path, busy: str, unusable: str) -> Iterator[None]:
    """Hold a lock, which a killed process loses.

    Raises RunError: `busy` where another process has it, `unusable` with the reason where the file cannot be made."""
    from filelock import FileLock, Timeout

    file_lock = FileLock(lock)
    try:
        os.stat(lock.parent)  # which filelock would create
        file_lock.acquire(blocking=False)
    except Timeout:
        raise RunError(busy) from None
    except NotImplementedError:  # a file system without locks
        pass
    except OSError as error:
        raise RunError(f"{unusable}: {os_error_reason(error)}.") from None
    try:
        yield
    finally:
        file_lock.release()
        lock.unlink(missing_ok=True)


def open_regular(path: str | Path) -> BinaryIO:
    """A file open for reading. Raises OSError, and ImageError for a folder, and for a pipe or a device, which might
    never end."""
    nonblocking = getattr(os, "O_NONBLOCK", 0)  # otherwise opening a pipe waits for a writer

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags | nonblocking)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise ImageError(path, f"is {what}, not a regular file")
        return descriptor

    return open(path, "rb", opener=opener)


def require_regular(path: Path, error: type[InceptorchError]) -> None:
    """Raise `error` where `open_regular` would raise ImageError, before a library opens the file by its path. Other
    faults are left to the reader."""
    try:
        with suppress(OSError):
            open_regular(path).close()
    except ImageError as fault:
        raise error(str(fault)) from None


@contextmanager
def reading(path: str | Path, error: type[InceptorchError]) -> Iterator[None]:
    """Raise `error`, which names the file, where it cannot be read or is not UTF-8."""
    try:
        yield
    except FileNotFoundError:
        raise error(f"{path} does not exist.") from None
    except OSError as fault:
        raise error(f"Cannot read {path}: {os_error_reason(fault)}.") from None
    except UnicodeError:
        raise error(f"{path} is not text in UTF-8. Save it in UTF-8.") from None


def open_text(path: str | Path, newline: str | None = None) -> TextIO:
    """A text file that a user wrote, open for reading: in UTF-8 or, if it begins with their mark as files from Windows
    do, in UTF-16 or UTF-32; `newline` as for `open`. Raises OSError, and UnicodeError while it is read."""
    file = open(path, "rb")  # noqa: SIM115
    start = file.peek(4)[:4]
    encoding = next((name for name, marks in MARKS.items() if start.startswith(marks)), "utf-8-sig")
    return io.TextIOWrapper(file, encoding, newline=newline)


def read_text(path: str | Path) -> str:
    """The whole text of such a file."""
    with open_text(path) as file:
        return file.read()


def load_yaml(path: Path, error: type[InceptorchError], example: str) -> dict[str, Any]:
    """The values of a YAML file by name. Raises `error`; `example` shows how to write such a file."""
    try:
        with reading(path, error):
            values = read_yaml(path)
    except NotYamlError as fault:
        raise error(f"{path} {fault}; {example}.") from None
    if not isinstance(values, dict):
        raise error(f"{path} must hold values by name; {example}.")
    return values


class NotYamlError(Exception):
    """A file is not YAML as it is read here; the message continues a sentence that begins with its name."""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; keys stay text. Raises OSError and NotYamlError."""
    try:
        return parse_yaml(read_text(path))
    except UnicodeError:
        raise NotYamlError("is not YAML: it is not text in UTF-8") from None


def parse_yaml(text: str) -> Any:
    """The content of YAML; keys stay text. Raises NotYamlError."""
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise NotYamlError("is not YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # no date, too long a number
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            raise NotYamlError(f"is not YAML: line {error.problem_mark.line + 1}: {error.problem}") from None
        raise NotYamlError("is not YAML: " + " ".join(str(error).split())) from None


class _Loader(yaml.SafeLoader):
    """YAML whose keys stay text. It refuses duplicate keys, of which the second would silently win, and aliases
    (*name), with which a short file can expand without end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise NotYamlError("cannot be used: it refers to another part of itself (*name), which must be written out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        values = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise NotYamlError(f"cannot be used: the key in line {line} is not a word")
            if key.value in values:
                raise NotYamlError(f"cannot be used: {key.value!r} is set twice, the second time in line {line}")
            values[key.value] = self.construct_object(value, deep=True)
        return values


def cache_folder() -> Path:
    """INCEPTORCH_HOME, else inceptorch/ in XDG_CACHE_HOME, else in ~/.cache."""
    home = os.environ.get("INCEPTORCH_HOME")
    return Path(home or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "inceptorch").expanduser()


def cache_load(name: str) -> dict[str, Any]:
    """Measurements on this machine, from a JSON file in the cache; {} if there is none."""
    try:
        values = json.loads((cache_folder() / name).read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def cache_store(name: str, key: str, value: Any, warn: Callable[[str], object]) -> None:
    """Add a measurement to that file; `warn` where it cannot be written."""
    from filelock import FileLock

    file = cache_folder() / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f"{name}.lock"), timeout=10):  # other processes may add theirs
            write_text(file, json.dumps(cache_load(name) | {key: value}, indent=1) + "\n")
    except (OSError, NotImplementedError, RunError) as error:  # filelock's Timeout is an OSError
        warn(f"could not save the measurement: {error}")


def ensure_empty(path: Path, besides: Path | None = None) -> None:
    """Raise RunError if `path` is a file or a folder with something in it, `besides` excepted."""
    try:
        if path.is_dir():
            if any(besides is None or each.resolve() != besides.resolve() for each in path.iterdir()):
                raise RunError(f"Cannot use {path}: it already holds files. Try another folder, or empty it first.")
        elif path.exists():
            raise RunError(f"Cannot use {path}: it is a file. Try the name of a folder.")
    except OSError as error:
        raise RunError(f"Cannot use {path}: {os_error_reason(error)}. Try another folder.") from None


def os_error_reason(error: OSError) -> str:
    """The system's reason, in lower case."""
    return (error.strerror or str(error) or type(error).__name__).lower()
