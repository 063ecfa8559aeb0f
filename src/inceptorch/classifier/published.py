"""Published weights by name, as published.yaml lists them, and verified downloads of them.

Files lie in weights/NAME/ under INCEPTORCH_HOME, by default inceptorch/ in the user's cache folder. They are hashed
here, never opened.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPResponse
from importlib import resources
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import msgspec
import yaml

from inceptorch.classifier.config import Metadata
from inceptorch.errors import BundleError, RunError, did_you_mean
from inceptorch.images.preprocessing import Preprocessing
from inceptorch.utils.files import cache_folder, os_error_reason, write_text
from inceptorch.utils.progress import Progress

CHUNK = 2**20
TIMEOUT = 30.0  # seconds of silence from a server


@dataclass(frozen=True)
class Hash:
    """The published hash of a file, or its first digits, and its source."""

    algorithm: str  # by its name in hashlib
    digits: str
    by: str

    @property
    def whole(self) -> bool:
        return len(self.digits) == 2 * hashlib.new(self.algorithm).digest_size

    def __str__(self) -> str:
        return f"{self.algorithm} {'' if self.whole else 'beginning with '}{self.digits}"


@dataclass(frozen=True)
class Accuracy:
    """As published, in percent."""

    top1: float
    top5: float
    protocol: str


@dataclass(frozen=True)
class Published:
    """One set of published weights; the fields are those of published.yaml."""

    name: str
    net: str
    url: str
    source: str
    license: str
    preprocessing: Preprocessing
    outputs: int
    hash: Hash | None
    accuracy: Accuracy | None
    bytes: int | None = None
    note: str | None = None

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]

    def path(self, folder: Path | None = None) -> Path:
        """Where the file is, or would be."""
        return (folder or cache_folder()) / "weights" / self.name / self.file

    def cached(self, folder: Path | None = None) -> str:
        """State of the local copy: "yes", "not verified yet", "in part" (incomplete) or "no"."""
        path = self.path(folder)
        if path.exists():
            return "yes" if _is_remembered(self, path) else "not verified yet"
        return "in part" if _beside(path, ".part").exists() else "no"

    def metadata(self) -> Metadata:
        """Metadata of a classifier with these weights."""
        top = self.accuracy
        return Metadata(
            weights=f"{self.name}: {self.source}",
            url=self.url,
            license=self.license,
            accuracy=f"top-1 {top.top1}%, top-5 {top.top5}% ({top.protocol})" if top else None,
            note=self.note,
        )


@cache
def published() -> dict[str, Published]:
    """The table of published weights, by their names."""
    text = resources.files("inceptorch.classifier").joinpath("published.yaml").read_text(encoding="utf-8")
    return {name: msgspec.convert({"name": name, **each}, Published) for name, each in yaml.safe_load(text).items()}


def get_weights(name: str) -> Published:
    """The published weights called `name`. Raises BundleError."""
    if name not in published():
        raise BundleError(f"There are no published weights {name!r}: {did_you_mean(name, published())}")
    return published()[name]


def fetch(weights: str | Published, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """The file of published weights, by name or description; downloaded unless it is in `folder`, and verified once.

    An interrupted download is resumed. Raises BundleError if the download fails, or the file is not the published one.
    """
    weights = get_weights(weights) if isinstance(weights, str) else weights
    progress = progress or Progress()
    path = weights.path(folder)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(weights, path, progress)
        elif not _is_remembered(weights, path):
            sha256, fault = _check(weights, path)
            if fault:
                raise BundleError(
                    f"Cannot use {path}: it is not the published file: {fault}. Delete it to download it again."
                )
            _remember(weights, path, sha256, progress)
    except OSError as error:
        raise BundleError(
            f"Cannot write {path}: {os_error_reason(error)}. Set INCEPTORCH_HOME to another folder."
        ) from None
    return path


def _download(weights: Published, path: Path, progress: Progress) -> None:
    """Download the rest of the .part file, verify it and put it in place."""
    part = _beside(path, ".part")
    # Without a hash nobody would see that two halves do not belong together.
    have = part.stat().st_size if part.exists() and weights.hash else 0
    if weights.bytes is None or have != weights.bytes:
        try:
            response, have = _ask(weights.url, have)
        except (OSError, HTTPException) as error:
            raise _unreachable(weights, path, error) from None
        with response, open(part, "ab" if have else "wb") as file:
            missing = response.length
            size = f"{(have + missing) / 1e6:.1f} MB" if missing is not None else "of unknown size"
            progress.info(f"fetching {weights.url} ({size}) to {path}" + (f", from byte {have} on" if have else ""))
            chunks = _copy(response, file, weights, path)
            for _ in progress.track(chunks, math.ceil((missing or 0) / CHUNK), f"{weights.name}, MiB"):
                pass
        size_now = part.stat().st_size
        if missing is not None and size_now != have + missing:
            raise _unreachable(weights, path, f"the connection ended after {size_now} of {have + missing} bytes")
    sha256, fault = _check(weights, part)
    if fault:
        part.unlink()
        raise BundleError(
            f"The download from {weights.url} is not the published file, and was deleted: {fault}. Try again, or with "
            "another network."
        )
    os.replace(part, path)
    _remember(weights, path, sha256, progress)


def _ask(url: str, have: int) -> tuple[HTTPResponse, int]:
    """A response with all but the first `have` bytes, and how many bytes the server really leaves out."""
    range = {"Range": f"bytes={have}-"} if have else {}
    if not url.startswith(("https://", "http://")):
        raise URLError("only http and https are fetched")
    try:
        response: HTTPResponse = urlopen(Request(url, headers={"User-Agent": "inceptorch", **range}), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:  # there is more here than the server has
            return _ask(url, 0)
        raise
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        response.close()
        return _ask(url, 0)
    return response, have if response.status == 206 else 0


def _copy(response: HTTPResponse, file: BinaryIO, weights: Published, path: Path) -> Iterator[None]:
    """Write a response to a file. Faults of the server become BundleError, those of the disk stay OSError."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, HTTPException) as error:
            raise _unreachable(weights, path, error) from None
        if not chunk:
            return
        file.write(chunk)
        yield


def _unreachable(weights: Published, path: Path, why: Exception | str) -> BundleError:
    cause = why.reason if isinstance(why, URLError) else why
    if isinstance(why, HTTPError):
        cause = f"the server answers {why.code} {why.reason}"
    elif isinstance(cause, OSError):
        cause = os_error_reason(cause)
    verified = ", where it is verified" if weights.hash else ""
    return BundleError(
        f"{weights.url} could not be downloaded: {cause}. Try again later, or put the file at {path}{verified}."
    )


def _check(weights: Published, file: Path) -> tuple[str, str | None]:
    """The sha256 of a file, and why it is not the published one, if so."""
    expected = weights.hash
    hashes = {name: hashlib.new(name) for name in ("sha256", expected.algorithm if expected else "sha256")}
    with open(file, "rb") as opened:
        while chunk := opened.read(CHUNK):
            for each in hashes.values():
                each.update(chunk)
    digits = {name: each.hexdigest() for name, each in hashes.items()}
    if expected is None or digits[expected.algorithm].startswith(expected.digits):
        return digits["sha256"], None
    return digits["sha256"], f"its {expected.algorithm} is {digits[expected.algorithm]}, not {expected.digits}"


def _remember(weights: Published, path: Path, sha256: str, progress: Progress) -> None:
    """Write the sha256 beside a verified file, as `sha256sum --check` reads it, so that it is not verified again."""
    if not weights.hash:
        progress.info(f"{path} could not be verified, as no published hash is known; its sha256 is {sha256}")
    with suppress(RunError):  # in a folder that may only be read, it is verified every time
        write_text(_beside(path, ".sha256"), f"{_state(weights, path)}\n{sha256}  {path.name}\n")


def _is_remembered(weights: Published, path: Path) -> bool:
    try:
        return _beside(path, ".sha256").read_text(encoding="utf-8").startswith(_state(weights, path) + "\n")
    except (OSError, UnicodeDecodeError):
        return False


def _state(weights: Published, path: Path) -> str:
    """The verified state of a file; when it changes, the file is verified again."""
    stat = path.stat()
    return f"# {stat.st_size} bytes, changed at {stat.st_mtime_ns}, verified against {weights.hash or 'nothing'}"


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
