"""The papers' tables and claims, each figure with its verdict.

What is printed is data, `networks/zoo/papers/*.yaml`. Verdicts are never written there but computed. A table's
`columns` say how:

    name, text             the row; a word beside figures
    quoted                 a measurement
    {formula: ...}         arithmetic on the row's other columns; `first` is the table's first row
    {width: ..., at: ...}  the width at a place in the branch with those windows
    any other word         a quantity of `CountedRow`, or of `CountedNet` where `where` names a network alone

`unit` divides; `within` is how far a figure may lie off, half of its last digit by default; `aux` is a row of the
auxiliary classifier. `notes` offer explanations: `by` another network or quantity, or what a figure `is` by the
source's own numbers.
A claim has these as arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from inceptorch.papers.quantities import Nets, Value, filled, uses_names, value_of

FILES = ("googlenet", "bn_inception", "inception_v3", "inception_v4", "texts", "weights")
VERDICTS = {  # from best to worst
    "agrees": "what is computed is what is printed, within the printed rounding",
    "quoted": "a measurement: it cannot be computed from a table",
    "explained": "differs, and another network or another way of counting gives the printed figure",
    "erratum": "wrong by its source's own figures, or by those of the paper that it speaks of",
    "unexplained": "differs, and nothing known gives the printed figure",
}
CLAIM = "printed"  # the only column of claims
Data = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One printed figure. Without a verdict it is a word beside figures, or nothing is printed.

    finding  how far off it is, or what gives it
    note     the sentence about it
    """

    column: str
    printed: Value | None
    computed: Value | None = None
    verdict: str | None = None
    finding: str = ""
    note: str = ""


@dataclass(frozen=True)
class Row:
    name: str
    figures: tuple[Figure, ...]

    @property
    def verdict(self) -> str:
        """The worst of its figures' verdicts."""
        return max((figure.verdict for figure in self.figures if figure.verdict), key=list(VERDICTS).index)


@dataclass(frozen=True)
class Table:
    """A table with its verdicts, for the rows of `net` if it is one network's; or a paper's claims."""

    name: str
    about: str
    label: str
    rows: tuple[Row, ...]
    net: str | None = None

    @property
    def quoted(self) -> bool:
        """Whether it holds measurements and nothing else to evaluate."""
        return all(row.verdict == "quoted" for row in self.rows)


@cache
def sources() -> tuple[Data, ...]:
    """The files as they are written."""
    folder = files("inceptorch.networks.zoo") / "papers"
    return tuple(yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) for name in FILES)


def evaluated(table: Data, nets: Nets, net: str | None = None) -> Table:
    """A table with its verdicts, held against `net` if that is not the table's own network."""
    net = net or table.get("net")
    label, *columns = table["columns"]
    cells = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    rows = tuple(
        Row(str(row[label]), tuple(_figure(table, nets, net, column, row, cells[0]) for column in columns))
        for row in cells
    )
    about = f"Read in {table['from']} of the paper. {table['about']}" if "from" in table else table["about"]
    return Table(table["name"], about, label, rows, net)


def evaluated_claims(name: str, claims: Iterable[Data], nets: Nets) -> Table:
    """Claims as a table of one column."""
    return Table(name, "", "claim", tuple(Row(claim["claim"], (_claim(claim, nets),)) for claim in claims))


def shown(value: Value | None, decimals: int | None = None) -> str:
    """A figure as text; by default with the decimals that it is written with."""
    if isinstance(value, str) or value is None:
        return value or ""
    decimals = _decimals(value) if decimals is None else decimals
    return f"{value:,.{decimals}f}" if abs(value) >= 10_000 else f"{value:.{decimals}f}"


def shown_beside(computed: Value | None, printed: Value | None) -> str:
    """A computed figure with a decimal more than the printed one, if it is not a whole number."""
    return shown(computed, _decimals(printed) + 1 if isinstance(computed, float) else None)


def rounds_to(computed: Value | None, printed: Value | None) -> bool:
    """Whether a computed figure reads as the printed one."""
    return shown(computed, _decimals(printed)) == shown(printed)


@dataclass(frozen=True)
class _Way:
    """A value that explains a difference if it is the printed one, and shows an erratum if it is the computed one."""

    verdict: str
    value: Value | None
    where: str = ""  # who has this value; "" where the computed figure says it all
    note: str = ""


def _figure(table: Data, nets: Nets, net: str | None, column: str, row: Data, first: Data) -> Figure:
    how, printed, label = _how(table, column), row[column], str(next(iter(row.values())))
    if printed is None or how.get("read") == "text":
        return Figure(column, printed)
    if how.get("read") == "quoted":
        return Figure(column, printed, verdict="quoted")
    if "formula" in how:
        computed = value_of(how["formula"], {**row, "first": first})
        return _settled(column, printed, computed, how, [_Way("erratum", computed, "by the table's own figures")])

    ways = []
    if net != (own := table.get("net")):
        ways.append(_Way("explained", _read(table, nets, own, label, how), f"in {own}", f"{net} departs from it here."))
    for note in table.get("notes", ()):
        if label in note["rows"] and column in note["columns"] and note.get("by", {}).get("net") != net:
            ways += _ways(table, nets, net, label, how, note)
    return _settled(column, printed, _read(table, nets, net, label, how), how, ways)


def _claim(claim: Data, nets: Nets) -> Figure:
    """A claim is evaluated like a figure of a table; arithmetic on the source's own numbers alone shows its slips."""
    printed, note = claim["printed"], filled(claim.get("note", ""), nets)
    if "ours" not in claim:
        return Figure(CLAIM, printed, verdict="quoted", note=note)
    computed = value_of(claim["ours"], nets)
    ways = [_Way("explained", value_of(claim["by"], nets), f"= {claim['by']}")] if "by" in claim else []
    if isinstance(claim["ours"], str) and not uses_names(claim["ours"]):
        ways.append(_Way("erratum", computed, f"= {claim['ours']}"))
    ways += [_Way("erratum", value) for value in _alternatives(claim, nets)]
    return replace(_settled(CLAIM, printed, computed, claim, ways), note=note)


def _settled(column: str, printed: Value, computed: Value | None, how: Data, ways: list[_Way]) -> Figure:
    """The figure with its verdict: it agrees, or the first way that fits settles it, or it stays unexplained."""
    within = how.get("within", 0.5 * 0.1 ** _decimals(printed))
    if _in_range(computed, *how["range"]) if "range" in how else _same(printed, computed, within):
        return Figure(column, printed, computed, "agrees")
    for way in ways:
        if _same(way.value, printed if way.verdict == "explained" else computed, within):
            return Figure(column, printed, computed, way.verdict, _finding(way, printed), way.note)
    tried = [_finding(way, printed) for way in ways if way.where and way.value != computed]
    return Figure(column, printed, computed, "unexplained", "; ".join([_apart(printed, computed), *tried]))


def _in_range(value: Value | None, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def _finding(way: _Way, printed: Value) -> str:
    return f"{shown_beside(way.value, printed)} {way.where}" if way.where else ""


def _ways(table: Data, nets: Nets, net: str | None, label: str, how: Data, note: Data) -> list[_Way]:
    """The explanation in a note: another network's figure, another quantity, or the figure's origin."""
    sentence = filled(note["note"], nets)
    if "by" not in note:
        return [_Way("erratum", value, note=sentence) for value in _alternatives(note, nets)]
    by = note["by"]
    other = {**how, **({"read": by["read"]} if "read" in by else {})}
    value = _read(table, nets, by.get("net", net), label, other)
    return [_Way("explained", value, f"in {by['net']}" if "net" in by else "counted so", sentence)]


def _alternatives(note: Data, nets: Nets) -> list[Value]:
    """The values of a note's `is`, one or several, with arithmetic evaluated."""
    given = note.get("is", [])
    return [yaml.safe_load(filled(str(each), nets)) for each in (given if isinstance(given, list) else [given])]


def _how(table: Data, column: str) -> Data:
    how = table["columns"][column]
    return {"read": how} if isinstance(how, str) else how


def _read(table: Data, nets: Nets, net: str | None, label: str, how: Data) -> Value | None:
    """The computed figure of a row; None if `net` has no such row."""
    name, _, row = (table["where"][label] if "where" in table else f"{net} {label}").partition(" ")
    counted = nets[net or name]
    row = table.get("alias", {}).get(net, {}).get(row, row)
    place: Any = counted.rows.get(row) if row else counted
    if place and "aux" in how:
        place = place.aux.get(how["aux"])
    if place is None:
        return None
    value: Value | None = place.width(how["width"], how["at"]) if "width" in how else getattr(place, how["read"])
    return value / how["unit"] if "unit" in how and isinstance(value, int | float) else value


def _same(one: Value | None, other: Value | None, within: float) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one in (other, other.partition("/")[0])  # a window may be printed without its stride
    if isinstance(one, str | None) or isinstance(other, str | None):
        return False
    return abs(one - other) <= within + 1e-9


def _apart(printed: Value, computed: Value | None) -> str:
    if isinstance(printed, str) or isinstance(computed, str | None):
        return f"computed is {shown(computed) or 'nothing'}"
    off = abs(printed - computed)
    return f"{shown_beside(off, printed)} {'above' if printed > computed else 'below'} the computed figure"


def _decimals(value: Value | None) -> int:
    return len(repr(value).partition(".")[2]) if isinstance(value, float) else 0
