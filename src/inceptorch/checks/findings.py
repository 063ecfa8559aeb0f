"""Kinds of faults in DATA, with severity and remedy, and the faults that were found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from inceptorch.data.box_split import BoxSplit
from inceptorch.images.limits import MAX_PIXELS

if TYPE_CHECKING:
    from inceptorch.checks.scan import DatasetScan

Severity = Literal["error", "warning", "remark"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "remark")
MIN_IMAGES = 10  # per class to train on
MAX_IMBALANCE = 10  # largest class over smallest class
LONG_SIDE = 640  # pixels to which images are scaled where boxes are called small
THIN, SMALL = 1, 8  # pixels of a box's shorter side there


class Kind(NamedTuple):
    severity: Severity
    what: str
    remedy: str


LIMITS = {
    "max_megapixels": MAX_PIXELS // 10**6,
    "min_images": MIN_IMAGES,
    "max_imbalance": MAX_IMBALANCE,
    "long_side": LONG_SIDE,
    "thin": THIN,
    "small": SMALL,
}
KINDS = {
    name: Kind(severity, what.format(**LIMITS), remedy)
    for name, (severity, what, remedy) in yaml.safe_load(Path(__file__).with_name("kinds.yaml").read_bytes()).items()
}


class Finding(NamedTuple):
    kind: str
    files: tuple[str, ...]  # the images, class folders or splits concerned, by their names in messages
    note: str  # a phrase that continues the file names
    indices: tuple[int, ...] = ()  # of the images in the scan; none for a class or a split
    leading: int = 0  # files that lists do not cut off: one of each class and split

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity


@dataclass(frozen=True, eq=False)
class Findings:
    """All faults found in DATA, the worst kinds first, and caveats about the model's doubts."""

    data: str
    scan: DatasetScan
    items: list[Finding]
    caveats: list[str]

    @property
    def safe(self) -> bool:
        """Whether training would work and evaluation be right, as far as the check can tell."""
        return not any(finding.severity == "error" for finding in self.items)

    @property
    def by_kind(self) -> dict[str, list[Finding]]:
        found: dict[str, list[Finding]] = {}
        for finding in self.items:
            found.setdefault(finding.kind, []).append(finding)
        return found

    def counts(self) -> dict[Severity, int]:
        found = Counter(finding.severity for finding in self.items)
        return {severity: found[severity] for severity in SEVERITIES}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"data", "safe", "images", "classes", "counts", "caveats", "findings"}, and "boxes" where the
        images have some: for each split their number by class."""
        splits = self.scan.splits
        boxes = {name or "all": split.counts() for name, split in splits.items() if isinstance(split, BoxSplit)}
        return {
            "data": self.data,
            "safe": self.safe,
            "images": {name or "all": len(split) for name, split in splits.items()},
            **({"boxes": boxes} if boxes else {}),
            "classes": len(self.scan.classes),
            "counts": {kind: len(found) for kind, found in self.by_kind.items()},
            "caveats": self.caveats,
            "findings": [
                {"kind": each.kind, "severity": each.severity, "files": list(each.files), "note": each.note}
                for each in self.items
            ],
        }
