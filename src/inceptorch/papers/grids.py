"""Evaluated tables in words, for a terminal and for Markdown."""

from __future__ import annotations

from inceptorch.papers.verdicts import CLAIM, Figure, Table, rounds_to, shown, shown_beside
from inceptorch.utils.markdown import Grid


def grid(table: Table) -> Grid:
    """A column for every printed one, computed figures where they read otherwise, and the verdict."""
    lines = [[table.label], *([row.name] for row in table.rows)]
    columns = [_cells(column) for column in zip(*(row.figures for row in table.rows), strict=True)]
    if not table.quoted:
        columns.append([["verdict"], *([row.verdict] for row in table.rows)])
    for column in columns:
        for line, cells in zip(lines, column, strict=True):
            line += cells
    return lines


def notes(table: Table) -> list[tuple[str, str]]:
    """The notes on a row, with its name."""
    sentences = []
    for row in table.rows:
        findings = [_finding(figure) for figure in row.figures if figure.finding]
        remarks = dict.fromkeys(figure.note for figure in row.figures if figure.note)
        sentence = " ".join([*(["; ".join(findings) + "."] if findings else []), *remarks])
        if sentence:
            sentences.append((row.name, sentence))
    return sentences


def about(table: Table) -> str:
    return " ".join(part for part in (table.about, "All rows are quoted." if table.quoted else "") if part)


def _cells(column: tuple[Figure, ...]) -> Grid:
    """Printed figures, with computed ones in brackets; or in a column of their own, where decimals differ."""
    printed = [shown(figure.printed) for figure in column]
    computed = [shown_beside(figure.computed, figure.printed) for figure in column]
    differs = [not _reads_the_same(figure) for figure in column]
    name = column[0].column
    if name == CLAIM or any(
        differ and isinstance(figure.computed, float) for figure, differ in zip(column, differs, strict=True)
    ):
        return [[name, "computed"], *map(list, zip(printed, computed, strict=True))]
    cells = zip(printed, computed, differs, strict=True)
    return [[name], *([f"{one} ({other})" if differ else one] for one, other, differ in cells)]


def _reads_the_same(figure: Figure) -> bool:
    if figure.computed is None or isinstance(figure.printed, str):
        return figure.verdict in (None, "agrees", "quoted")
    return rounds_to(figure.computed, figure.printed)


def _finding(figure: Figure) -> str:
    return figure.finding if figure.column == CLAIM else f"{figure.column} {figure.finding}"
