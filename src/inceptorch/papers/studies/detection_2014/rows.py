"""The lines of the study's table, and the claims that compare two of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

RULES = ("ilsvrc", "voc")  # the contest's, which decides on the claims, and another


@dataclass(frozen=True)
class Row:
    """Which proposals, whether context and box regression are used, and how many networks."""

    proposals: str
    context: bool
    box_regression: bool
    networks: int


@dataclass(frozen=True)
class Claim:
    """What the paper says of one row against another: in our words, where, its figure, and in what each row differs
    from one network without context and box regression on the main proposals. Of `networks`, 0 means all."""

    says: str
    source: str
    printed: str
    of: tuple[tuple[str, str | bool | int], ...]
    against: tuple[tuple[str, str | bool | int], ...] = ()

    def rows(self, sets: Sequence[str], networks: int) -> tuple[Row, Row]:
        """The rows that are compared."""
        plain = Row(main_set(sets), False, False, 1)
        of, against = (replace(plain, **dict(each)) for each in (self.of, self.against))  # type: ignore[arg-type]
        return replace(of, networks=of.networks or networks), against


CLAIMS = (
    Claim(
        "Fewer selective-search regions and class-free boxes are better than selective search alone.",
        "arXiv:1409.4842 section 8",
        "+1 % with one model",
        (("proposals", "both"),),
        (("proposals", "selective-search"),),
    ),
    Claim(
        "Several networks are better than one.",
        "arXiv:1409.4842 section 8, Table 5",
        "43.9 of six against 38.02 %",
        (("networks", 0),),
    ),
    Claim(
        "Context and box regression, which GoogLeNet's entry lacked, help.",
        "arXiv:1409.4842 Table 5",
        "40.2 with both, of Deep Insight, against 38.02 %",
        (("context", True), ("box_regression", True)),
    ),
    Claim("Context helps.", "arXiv:1409.4842 Table 5", "", (("context", True),)),
    Claim("Box regression helps.", "arXiv:1409.4842 section 8", "", (("box_regression", True),)),
)


def main_set(sets: Sequence[str]) -> str:
    """The paper's proposals, or the first ones."""
    return "both" if "both" in sets else sets[0]


def rows(sets: Sequence[str], networks: int) -> Iterator[Row]:
    """Every set with and without context and box regression, by one network and by all; and by the numbers between,
    without both as the paper had it, for the main set."""
    for name in sets:
        for context, regression in product((False, True), repeat=2):
            plain = name == main_set(sets) and not (context or regression)
            counts = range(1, networks + 1) if plain else sorted({1, networks})
            yield from (Row(name, context, regression, count) for count in counts)
