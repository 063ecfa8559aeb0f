"""Kinds of faults in DATA, with severity and remedy, and the faults that were found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from inceptorch.images.decode import MAX_PIXELS

if TYPE_CHECKING:
    from inceptorch.checks.scan import DatasetScan

Severity = Literal["error", "warning", "remark"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "remark")
MIN_IMAGES = 10  # per class to train on
MAX_IMBALANCE = 10  # largest class over smallest class


class Kind(NamedTuple):
    severity: Severity
    what: str
    remedy: str


SKIPPED = "training skips them"
LEAK = "Delete it from all splits but one: evaluation would reward memorization."
ONE_LABEL = "Delete it from all classes but the right one."
RANDOM_SPLIT = "without a split in DATA, one copy may end up in train and another in val"

# Errors make training fail, make it skip images, or make evaluation wrong.
KINDS = {
    "unreadable": Kind("error", "images that cannot be read", f"Replace or delete them; {SKIPPED}."),
    "truncated": Kind("error", "images that are cut off or damaged", f"Copy them again from the source; {SKIPPED}."),
    "huge": Kind("error", f"images above the limit of {MAX_PIXELS // 10**6} megapixels", f"Reduce them; {SKIPPED}."),
    "duplicates-across-splits": Kind("error", "the same image in more than one split", LEAK),
    "near-duplicates-across-splits": Kind("error", "nearly the same image in more than one split", LEAK),
    "duplicates-across-classes": Kind("error", "the same image under more than one label", ONE_LABEL),
    "near-duplicates-across-classes": Kind("error", "nearly the same image under more than one label", ONE_LABEL),
    "nothing-to-train-on": Kind("error", "fewer than two classes to train on", "Add train/, or another class."),
    "empty-class": Kind("error", "training classes without an image", "Add some, or delete the class."),
    "missing-in-train": Kind("error", "validation classes that train lacks", "Add them to train, or fix their names."),
    "damaged": Kind("warning", "images with decoder warnings", "Look at them: parts may be gray or of another image."),
    "misnamed": Kind("warning", "images with another format's suffix", "Rename them; other programs trust the suffix."),
    "ignored": Kind("warning", "images that are not used", "Put them into a class folder, with a suffix such as .jpg."),
    "tiny": Kind("warning", "images that are very small", "Replace them with larger ones, or delete them."),
    "blank": Kind("warning", "images that show almost nothing", "Look at them, and delete the failures."),
    "duplicates": Kind("warning", "the same image repeatedly in one class", f"Delete all but one: {RANDOM_SPLIT}."),
    "small-class": Kind("warning", f"classes with fewer than {MIN_IMAGES} training images", "Add some."),
    "unbalanced-class": Kind(
        "warning",
        f"classes with less than 1/{MAX_IMBALANCE} of the training images of the largest class",
        "Add some, or train with --set class_weight_power=1.",
    ),
    "missing-in-val": Kind(
        "warning", "training classes without a validation image", "Add some; they are not evaluated."
    ),
    "similar-class-names": Kind(
        "warning", "class names that differ only in case, spaces, hyphens or underscores", "Merge them if they are one."
    ),
    "doubtful-label": Kind("warning", "labels that the model doubts", "Look at them: the model may be wrong."),
    "large": Kind("remark", "images that are slow to decode", "Reduce them if time matters."),
    "rotated": Kind("remark", "images rotated by EXIF", "Rotate the pixels for programs that ignore EXIF."),
    "near-duplicates": Kind(
        "remark", "nearly the same image repeatedly in one class", f"Keep in mind: {RANDOM_SPLIT}."
    ),
    "no-image": Kind("remark", "other files in class folders", "They are not used."),
}


class Finding(NamedTuple):
    """One fault.

    files     the images, class folders or splits concerned, as a user finds them
    note      a phrase that continues the file names
    indices   of the images in the scan; none for a class or a split
    """

    kind: str
    files: tuple[str, ...]
    note: str
    indices: tuple[int, ...] = ()

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
        """The JSON form: {"data", "safe", "images", "classes", "counts", "caveats", "findings"}."""
        return {
            "data": self.data,
            "safe": self.safe,
            "images": {name or "all": len(split) for name, split in self.scan.splits.items()},
            "classes": len(self.scan.classes),
            "counts": {kind: len(found) for kind, found in self.by_kind.items()},
            "caveats": self.caveats,
            "findings": [
                {"kind": each.kind, "severity": each.severity, "files": list(each.files), "note": each.note}
                for each in self.items
            ],
        }
