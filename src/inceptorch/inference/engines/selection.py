"""Which engine is fastest here: what `inceptorch bench` measured, remembered for this machine, network and versions."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from inceptorch.classifier.config import WEIGHTS
from inceptorch.inference.engines.formats import ENGINES, IR, installed, is_exported
from inceptorch.utils.cpu import processors
from inceptorch.utils.files import cache_load, cache_store
from inceptorch.utils.progress import Progress

TOLERANCE = 0.03  # of a probability, from fp32: on 200 photographs bf16 moves GoogLeNet's by 0.022 at most
FILE = "engines.json"


@dataclass(frozen=True)
class EngineChoice:
    """One way to execute a classifier, and what it reached here."""

    engine: str
    precision: str | None
    streams: int | None = None
    batch_size: int | None = None
    per_second: float = 0.0


def remembered(path: Path, precision: str | None = None) -> EngineChoice:
    """The fastest way that was measured here for a classifier (in this precision); where none was, the usual one."""
    with suppress(KeyError, TypeError, ValueError, StopIteration, OSError):
        ways = [EngineChoice(**way) for way in cache_load(FILE)[_key(path)]]
        return next(way for way in ways if precision in (None, way.precision) and find_spec(way.engine))
    if not is_exported(path):
        return EngineChoice("torch", precision or "fp32")
    engine = next(iter(installed(path)), "openvino")  # of which `open_engine` says that it is not there
    return EngineChoice(engine, precision)


def remember(path: Path, ways: list[EngineChoice], progress: Progress) -> None:
    """Remember for this machine what was measured of a classifier, the fastest first."""
    cache_store(FILE, _key(path), [asdict(way) for way in ways], progress.info)


def _key(path: Path) -> str:
    """What a measurement holds for: this file, these versions, this machine."""
    file = path if path.is_file() else path / (IR if is_exported(path) else WEIGHTS)
    stat = file.stat()
    versions = []
    for engine in ENGINES:
        with suppress(PackageNotFoundError):
            versions.append(f"{engine} {version(engine)}")
    machine = f"{platform.node()} {platform.machine()} with {processors()} processors"
    return f"{file.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}, {', '.join(versions)}, {machine}"
