"""The papers with their verdicts: all of them, or what they print of one network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inceptorch.errors import TableError
from inceptorch.networks.network import NetworkSpec
from inceptorch.papers.quantities import Nets, filled
from inceptorch.papers.verdicts import Data, Table, evaluated, evaluated_claims, sources


@dataclass(frozen=True)
class Paper:
    """A paper's evaluated tables and claims, all of them or those of one network."""

    name: str
    title: str
    tables: tuple[Table, ...]
    claims: Table
    errata: tuple[Data, ...]
    accuracy: tuple[Table, ...]
    questions: tuple[Data, ...] = ()  # that readers ask, with their answers

    @property
    def heading(self) -> str:
        return f"{self.name}: {self.title}"

    @property
    def all_tables(self) -> tuple[Table, ...]:
        return tuple(table for table in (*self.tables, self.claims, *self.accuracy) if table.rows)


def evaluated_papers(nets: Nets, name: str | None = None) -> list[Paper]:
    """Every paper with its verdicts; with `name`, what belongs to that network."""
    papers = []
    for paper in sources():
        claims = [claim for claim in paper.get("claims", ()) if _belongs(claim, name)]
        papers.append(
            Paper(
                paper["paper"],
                paper["title"],
                tuple(_tables(paper.get("tables", ()), nets, name)),
                evaluated_claims(paper.get("claims are", "Claims"), claims, nets),
                tuple(slip for slip in paper.get("errata", ()) if _belongs(slip, name)),
                tuple(_tables(paper.get("accuracy", ()), nets, name)),
                tuple(
                    {**each, "answer": filled(each["answer"], nets)}
                    for each in paper.get("questions", ())
                    if _belongs(each, name)
                ),
            )
        )
    return [paper for paper in papers if paper.all_tables or paper.errata]


def papers_about(net: NetworkSpec) -> tuple[str, list[Paper]]:
    """A sentence that names the nearest network with tables, if it is another one; and what there is on this one."""
    nearest = _nearest(net.name)
    if nearest is None:
        raise TableError(f"None of the papers is about a network {net.name!r}.")
    see = f"The papers have no table for {net.name}; nearest is {nearest}: inceptorch nets {nearest} --paper"
    return "" if nearest == net.name else see, evaluated_papers(Nets(net), net.name)


def _tables(tables: Sequence[Data], nets: Nets, name: str | None) -> Iterator[Table]:
    for table in tables:
        if name and "of" in table:  # every row is of the network in that column
            at = list(table["columns"]).index(table["of"])
            if rows := [row for row in table["rows"] if row[at] == name]:
                yield evaluated({**table, "rows": rows}, nets)
        elif _belongs(table, name):
            yield evaluated(table, nets, name if "net" in table else None)


def _belongs(entry: Data, name: str | None) -> bool:
    """Whether a table, claim or slip is about the network `name`, or about any."""
    return name is None or name in entry.get("nets", (entry.get("net"), *entry.get("also", ())))


def _nearest(name: str) -> str | None:
    """The network whose tables and claims a network goes by; its own, if it has any."""
    name = name.removesuffix("_small").removesuffix("_tiny")
    for paper in sources():
        for base, variants in paper.get("see", {}).items():
            if name in variants:
                return str(base)
    entries = [entry for paper in sources() for entry in (*paper.get("tables", ()), *paper.get("claims", ()))]
    return name if any(_belongs(entry, name) for entry in entries) else None
