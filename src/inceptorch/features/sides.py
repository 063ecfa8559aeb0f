"""The two sides of a comparison, opened: images of any source with their features, or statistics alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inceptorch.data.verify import Skipped
from inceptorch.errors import DataError
from inceptorch.features.conventions import Convention
from inceptorch.features.extract import Extraction, extract, extract_in_memory
from inceptorch.features.frechet import Side
from inceptorch.features.inputs import iter_images, open_images
from inceptorch.features.statistics import load_statistics, statistics
from inceptorch.features.store import Features
from inceptorch.images.decode import ImageInput
from inceptorch.utils.progress import Progress

STATISTICS = ".npz"

Images = str | Path | Iterable[ImageInput]


@dataclass(frozen=True)
class Opened:
    """One side: its name in messages, and its statistics with the features where there are any."""

    name: str
    side: Side
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def features(self) -> Features:
        """Raises DataError where there are statistics alone."""
        if self.side.features is None:
            raise DataError(f"Cannot compute more than FID with {self.name}: it holds statistics. Name its images.")
        return self.side.features

    @property
    def formats(self) -> dict[str, int]:
        """The formats of the files with their numbers; empty where not known."""
        if self.side.features is None:
            return {}
        counts = Counter(name.decode() for name in self.side.features.column("format").tolist() if name)
        return dict(sorted(counts.items()))


def is_statistics(images: Images) -> bool:
    """Whether a side is a file of statistics."""
    return isinstance(images, str | Path) and Path(images).suffix.lower() == STATISTICS


def open_statistics(file: Path, about: Mapping[str, str], dim: int) -> Opened:
    """Statistics of the convention, network and weights that `about` names, as far as the file says. Raises
    DataError."""
    found = load_statistics(file)
    for name, ours in about.items():
        theirs = found.about.get(name, ours)
        if theirs != ours:
            remedy = f"Try --convention {theirs}." if name == "convention" else f"Try the same {name}."
            short = [value[:12] if name == "weights" else value for value in (theirs, ours)]
            raise DataError(f"Cannot use {file}: its statistics are of the {name} {short[0]}, not {short[1]}. {remedy}")
    if len(found.mu) != dim:
        raise DataError(
            f"Cannot use {file}: its statistics are of {len(found.mu)} features, not of {dim}. Try the same network."
        )
    return Opened(str(file), Side(found))


def open_side(
    images: Images,
    label: str,
    split: str | None,
    extraction: Extraction,
    convention: Convention,
    about: Mapping[str, str],
    folder: Path,
    progress: Progress,
) -> Opened:
    """The features of images and their statistics; `folder` holds those of images in memory meanwhile. Raises
    DataError for fewer than two images that can be read."""
    skipped: list[Skipped] = []
    if isinstance(images, str | Path):
        name = str(images)
        features, skipped = extract(open_images(images, split), extraction, progress)
    else:
        name = label
        features = extract_in_memory(iter_images(images), extraction, folder / label)
    if len(features) < 2:
        first = f"; {skipped[0]['file']} {skipped[0]['error']}" if skipped else ""
        count = "no image that can be read" if not len(features) else "one image alone, which has no covariance"
        raise DataError(f"Cannot compute FID of {name}: it has {count}{first}. Try thousands of images.")
    found = statistics(features, convention.dtype, about)
    return Opened(name, Side(found, features), skipped)
