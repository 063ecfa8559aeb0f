"""Which engine is fastest here: what `inceptorch bench` measured, remembered for this machine, network and versions."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import WEIGHTS
from inceptorch.inference.engines import factory
from inceptorch.utils.cpu import processors
from inceptorch.utils.files import keep_measured, read_measured
from inceptorch.utils.progress import Progress

TOLERANCE = 0.03  # of a probability, from fp32: on 200 photographs bf16 moves GoogLeNet's by 0.022 at most
FILE = "engines.json"


@dataclass(frozen=True)
class Way:
    """One way to execute a classifier, and what it reached here."""

    engine: str
    precision: str | None
    streams: int | None = None
    batch: int | None = None
    per_second: float = 0.0


def remembered(path: Path, precision: str | None = None) -> Way:
    """The fastest way that was measured here for a classifier (in this precision); where none was, the usual one."""
    with suppress(KeyError, TypeError, ValueError, StopIteration, OSError):
        ways = [Way(**way) for way in read_measured(FILE)[_key(path)]]
        return next(way for way in ways if precision in (None, way.precision) and find_spec(way.engine))
    if not factory.is_exported(path):
        return Way("torch", precision or "fp32")
    engine = next(iter(factory.installed(path)), "openvino")  # of which factory says that it is not there
    return Way(engine, precision)


def random_squares(size: int, count: int) -> NDArray[np.uint8]:
    """Smooth random pictures [N, S, S, 3], nearer to photographs than noise is."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (count, 8, 8, 3))
    large = small.repeat(-(-size // 8), 1).repeat(-(-size // 8), 2)[:, :size, :size]
    return np.clip(large + random.normal(0, 12, large.shape), 0, 255).astype(np.uint8)


def remember(path: Path, ways: list[Way], progress: Progress) -> None:
    """Remember for this machine what was measured of a classifier, the fastest first."""
    keep_measured(FILE, _key(path), [asdict(way) for way in ways], progress.say)


def _key(path: Path) -> str:
    """What a measurement holds for: this file, these versions, this machine."""
    file = path if path.is_file() else path / (factory.IR if factory.is_exported(path) else WEIGHTS)
    stat = file.stat()
    versions = []
    for engine in factory.ENGINES:
        with suppress(PackageNotFoundError):
            versions.append(f"{engine} {version(engine)}")
    machine = f"{platform.node()} {platform.machine()} with {processors()} processors"
    return f"{file.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}, {', '.join(versions)}, {machine}"
