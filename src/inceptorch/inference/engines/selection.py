"""The fastest engine, as `inceptorch bench` measured it for this machine, file and these versions."""

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

TOLERANCE = 0.03  # of a probability in fp32; on 200 photographs, bf16 changes GoogLeNet's by at most 0.022
FILE = "engines.json"


@dataclass(frozen=True)
class EngineChoice:
    """How to execute a classifier, with its images per second here."""

    engine: str
    precision: str | None
    streams: int | None = None
    batch_size: int | None = None
    per_second: float = 0.0


def saved_choice(path: Path, precision: str | None = None) -> EngineChoice:
    """The fastest measured choice for a classifier, in this precision if given; without one, the default."""
    with suppress(KeyError, TypeError, ValueError, StopIteration, OSError):
        choices = [EngineChoice(**each) for each in cache_load(FILE)[_key(path)]]
        return next(each for each in choices if precision in (None, each.precision) and find_spec(each.engine))
    if not is_exported(path):
        return EngineChoice("torch", precision or "fp32")
    engine = next(iter(installed(path)), "openvino")  # `open_engine` reports that it is missing
    return EngineChoice(engine, precision)


def is_measured(path: Path) -> bool:
    """Whether engines were measured for a classifier, in these versions and on this machine."""
    return _key(path) in cache_load(FILE)


def save_choices(path: Path, choices: list[EngineChoice], progress: Progress) -> None:
    """Save measured choices for a classifier, the fastest first."""
    cache_store(FILE, _key(path), [asdict(each) for each in choices], progress.info)


def _key(path: Path) -> str:
    """File, versions and machine of a measurement."""
    file = path if path.is_file() else path / (IR if is_exported(path) else WEIGHTS)
    stat = file.stat()
    versions = []
    for engine in ENGINES:
        with suppress(PackageNotFoundError):
            versions.append(f"{engine} {version(engine)}")
    machine = f"{platform.node()} {platform.machine()} with {processors()} processors"
    return f"{file.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}, {', '.join(versions)}, {machine}"
