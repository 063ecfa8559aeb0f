"""What can be wrong with DATA, how bad that is and what to do about it; and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from inceptorch.images.decode import MAX_PIXELS

if TYPE_CHECKING:
    from inceptorch.checks.scan import Survey

Severity = Literal["error", "warning", "remark"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "remark")
FEWEST = 10  # images that a class should have to train on
MOST_TIMES = 10  # as many images as the smallest class should the largest have at most


@dataclass(frozen=True)
class Kind:
    """One kind of finding: how bad it is, what it is, what to do about it."""

    severity: Severity
    what: str
    remedy: str


LEFT_OUT = "training leaves them out"
BY_HEART = "Delete it from all splits but one: evaluating would reward what was learned by heart."
ONE_LABEL = "Delete it from all classes but the right one."
DRAWN = "where DATA is not divided, one may be trained on and another evaluated on"

# Errors are what training would fail on or leave out, or what would make evaluating lie.
KINDS = {
    "unreadable": Kind("error", "images that cannot be read", f"Replace or delete them; {LEFT_OUT}."),
    "truncated": Kind(
        "error",
        "images that are cut off or damaged, and decode only in part",
        f"Copy them again from where they came from; {LEFT_OUT}.",
    ),
    "huge": Kind(
        "error",
        f"images of more than {MAX_PIXELS // 1_000_000} million pixels, the most that is read",
        f"Reduce them; {LEFT_OUT}.",
    ),
    "duplicates-across-splits": Kind("error", "the same image in more than one split", BY_HEART),
    "near-duplicates-across-splits": Kind("error", "nearly the same image in more than one split", BY_HEART),
    "duplicates-across-classes": Kind("error", "the same image under more than one label", ONE_LABEL),
    "near-duplicates-across-classes": Kind("error", "nearly the same image under more than one label", ONE_LABEL),
    "nothing-to-train-on": Kind(
        "error", "fewer than two classes to train on", "Add a train beside it, or another class."
    ),
    "empty-class": Kind("error", "classes to train on without an image", "Add some, or delete the class."),
    "missing-in-train": Kind(
        "error",
        "classes to evaluate on that train does not have",
        "Add them to train, delete or rename them; classes are matched by name, letter for letter.",
    ),
    "damaged": Kind(
        "warning",
        "images that can be decoded, but of which a strict decoder complains",
        "Look at them: a part may be gray, or of another image.",
    ),
    "misnamed": Kind(
        "warning",
        "images named like another kind of file",
        "Rename them; they are read here by their content, but other programs go by the name.",
    ),
    "ignored": Kind(
        "warning",
        "images that are not used, for their name or their place",
        "Give them a suffix such as .jpg, and put them into a class folder.",
    ),
    "tiny": Kind("warning", "images that are very small", "Replace them by larger ones, or delete them."),
    "blank": Kind("warning", "images that show almost nothing", "Look at them, and delete what failed."),
    "duplicates": Kind("warning", "the same image several times in one class", f"Delete all but one: {DRAWN}."),
    "small-class": Kind("warning", f"classes with fewer than {FEWEST} images to train on", "Add some."),
    "unbalanced-class": Kind(
        "warning",
        f"classes with less than one in {MOST_TIMES} of the largest class's images to train on",
        "Add some, or train with --set class_weight_power=1.",
    ),
    "not-evaluated": Kind(
        "warning",
        "classes to train on without an image to evaluate on",
        "Add some: what evaluating says is not about these classes.",
    ),
    "similar-class-names": Kind(
        "warning",
        "class names that differ only in case, spaces, hyphens or underscores",
        "If they are one class, give it one name.",
    ),
    "doubtful-label": Kind(
        "warning", "labels that the model doubts", "Look at them: these are suggestions, and the model may be wrong."
    ),
    "large": Kind("remark", "images that take long to decode", "Reduce them, if time matters."),
    "rotated": Kind(
        "remark",
        "images that are turned by their EXIF data alone",
        "That is done here; for programs that do not, turn the pixels themselves.",
    ),
    "near-duplicates": Kind("remark", "nearly the same image several times in one class", f"Keep in mind: {DRAWN}."),
    "no-image": Kind("remark", "files in class folders that are no images", "They are not used."),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    files     the images that it is about, or the folders of classes or splits, as a user finds them
    note      what it is, in words that fit behind the files
    images  the numbers of the files among those of the survey; none where they are no images of a class
    """

    kind: str
    files: tuple[str, ...]
    note: str
    images: tuple[int, ...] = ()

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found in DATA: the worst kinds first, and what to keep in mind when reading it."""

    data: str
    survey: Survey
    found: list[Finding]
    caveats: list[str]

    @property
    def safe(self) -> bool:
        """Whether training would work, and evaluating not lie, as far as was found."""
        return not any(one.severity == "error" for one in self.found)

    @property
    def by_kind(self) -> dict[str, list[Finding]]:
        """The findings of every kind that was found."""
        found: dict[str, list[Finding]] = {}
        for one in self.found:
            found.setdefault(one.kind, []).append(one)
        return found

    def counts(self) -> dict[Severity, int]:
        found = Counter(one.severity for one in self.found)
        return {severity: found[severity] for severity in SEVERITIES}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"data", "safe", "images", "classes", "counts", "caveats", "findings"}."""
        return {
            "data": self.data,
            "safe": self.safe,
            "images": {name or "all": len(split) for name, split in self.survey.splits.items()},
            "classes": len(self.survey.classes),
            "counts": {kind: len(found) for kind, found in self.by_kind.items()},
            "caveats": self.caveats,
            "findings": [
                {"kind": one.kind, "severity": one.severity, "files": list(one.files), "note": one.note}
                for one in self.found
            ],
        }


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Findings by the order of their kinds in the table; of one kind, as they come."""
    rank = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(found, key=lambda one: rank[one.kind])
