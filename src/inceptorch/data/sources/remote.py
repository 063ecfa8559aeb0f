"""Byte ranges of files behind a URL, read with fsspec."""

from __future__ import annotations

import re
import time
from typing import Any

from inceptorch.errors import DataError

ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt, twice as long before the third
CONNECT_TIMEOUT, READ_TIMEOUT, TOTAL_TIMEOUT = 20, 30, 600  # seconds
RANGE = re.compile(r"(?P<before>[^{}]*)\{(?P<first>\d+)\.\.(?P<last>\d+)\}(?P<after>[^{}]*\.tar)")


def split_url(url: str, known: set[str]) -> tuple[str, list[str]]:
    """The folder of a URL such as https://host/train-{000000..000099}.tar and the shards it names, which must be among
    the known ones. Raises DataError."""
    folder, _, name = url.rpartition("/")
    found = RANGE.fullmatch(name)
    if found:
        width, numbers = len(found["first"]), range(int(found["first"]), int(found["last"]) + 1)
        files = (f"{found['before']}{number:0{width}}{found['after']}" for number in numbers)
    else:
        files = (file for file in [name] if re.fullmatch(r"[^{}]+\.tar", file))
    named = []
    for file in files:
        if file not in known:
            raise DataError(f"Cannot read {url}: {folder}/index.json does not list {file}. Correct the range.")
        named.append(file)
    if not named:
        raise DataError(f"Cannot read {url}: it names no shards. Try https://host/train-{{000000..000099}}.tar.")
    return folder, named


def read_url(url: str) -> bytes:
    """The whole file. Raises DataError for a URL that cannot be opened, else OSError."""
    return _read(url, None, None)


def read_range(folder: str, file: str, start: int, end: int) -> bytes:
    """Bytes start to end of a file in the folder at a URL; fewer where the file is shorter. Raises as `read_url`."""
    if start == end:
        return b""
    data = _read(f"{folder}/{file}", start, end)
    if len(data) > end - start:
        raise OSError("the server ignores byte ranges")
    return data


def _read(url: str, start: int | None, end: int | None) -> bytes:
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * attempt)
        system, path = _open(url)
        try:
            data: bytes = system.cat_file(path, start=start, end=end)
            return data
        except Exception as error:  # every protocol has its own
            status = getattr(error, "status", None) or 0
            if status == 416:  # the range begins behind the end
                return b""
            if isinstance(error, FileNotFoundError):
                raise OSError("not found") from None
            last = f"the server answers {status}" if status else str(error) or type(error).__name__
            if isinstance(error, PermissionError) or (400 <= status < 500 and status not in (408, 429)):
                break
    raise OSError(last)


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, which fsspec keeps for each process, and the path in it."""
    from fsspec.core import url_to_fs

    options = {}
    if url.startswith(("http://", "https://")):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=TOTAL_TIMEOUT, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        options = {"client_kwargs": {"timeout": timeout}}
    if "::" in url:
        raise DataError(f"Cannot read {url}: chained URLs are not supported. Give the URL of the shards themselves.")
    try:
        system, path = url_to_fs(url, **options)
    except (ImportError, ValueError) as error:  # a package for the protocol, or the protocol itself, is not known
        raise DataError(f"Cannot read {url}: {error}.") from None
    return system, path
