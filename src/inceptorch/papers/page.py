"""Printed figures against computed ones: as text, as JSON, and as the page `docs/papers.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import fill
from typing import Any

from inceptorch.networks.network import NetworkSpec
from inceptorch.papers.claims import Paper, evaluated_papers, papers_about
from inceptorch.papers.grids import about, grid, notes
from inceptorch.papers.principles import LEGEND as LAYERS
from inceptorch.papers.principles import grid as grid_of_layers
from inceptorch.papers.principles import layers
from inceptorch.papers.quantities import CountedNet, Nets
from inceptorch.papers.verdicts import VERDICTS, Table
from inceptorch.utils.markdown import Grid, aligned, markdown

LEGEND = 'A computed figure that differs from the printed one is in brackets, or in a column "computed".'
WIDTH = 120


def text(net: NetworkSpec) -> str:
    """What the papers print of a network, row by row beside what is computed from its table.

    Raises TableError for a network that none of them is about.
    """
    see, papers = papers_about(net)
    parts = [f"{net.name} against the papers"]
    parts += [fill(see, WIDTH)] if see else []
    parts += [LEGEND] if any(paper.tables for paper in papers) else []
    for paper in papers:
        parts.append(f"== {paper.heading}")
        for table in paper.all_tables:
            parts += [fill(f"{_named(table)}. {about(table)}".removesuffix(". "), WIDTH), aligned(grid(table))]
            parts += _bullets([f"{row}: {note}" for row, note in notes(table)], WIDTH)
        if paper.errata:
            parts += ["Slips in words", *_bullets([f"{slip['what']}: {slip['note']}" for slip in paper.errata], WIDTH)]
        parts += [fill(f"{each['question']} {each['answer']}", WIDTH) for each in paper.questions]
    parts += ["== Its layers by the principles", fill(LAYERS, WIDTH), aligned(grid_of_layers(CountedNet(net)))]
    return "\n\n".join(parts) + "\n"


def to_json(net: NetworkSpec) -> dict[str, Any]:
    """The same as plain values. Raises TableError as `text` does."""
    see, papers = papers_about(net)
    found = layers(CountedNet(net))
    return {"network": net.name, "see": see, "papers": [_plain(paper) for paper in papers], "layers": found}


def page() -> str:
    """The text of `docs/papers.md`: every paper, table by table."""
    papers = evaluated_papers(Nets())
    parts = [
        "# The papers against the tables",
        "The printed figures are data, in `src/inceptorch/networks/zoo/papers/`. "
        "This page compares them with the tables in\n"
        "`src/inceptorch/networks/zoo/`. `python -m inceptorch.papers > docs/papers.md` writes it again.",
        f"{LEGEND}\nA row has the worst verdict of its figures. From best to worst, verdicts are:",
        markdown([["verdict", "meaning"], *map(list, VERDICTS.items())]),
        "## Contents",
        *_bullets([f"[{paper.heading}](#{_anchor(paper.heading)})" for paper in papers]),
        "Rows by verdict:",
        markdown(_summary(papers)),
    ]
    for paper in papers:
        parts.append(f"## {paper.heading}")
        for table in paper.all_tables:
            parts += [f"### {_named(table)}", fill(about(table), WIDTH, break_on_hyphens=False), markdown(grid(table))]
            parts += _bullets([f"**{_escaped(row)}**: {_escaped(note)}" for row, note in notes(table)], WIDTH)
        if paper.errata:
            slips = [f"**{slip['what']}**: {_escaped(slip['note'])}" for slip in paper.errata]
            parts += ["### Slips in words", *_bullets(slips, WIDTH)]
        for each in paper.questions:
            parts += [f"### {each['question']}", fill(each["answer"], WIDTH, break_on_hyphens=False)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(papers: Sequence[Paper]) -> Grid:
    tables = [(paper, table) for paper in papers for table in paper.all_tables]
    lines = [(f"{paper.name}, {table.name}", Counter(row.verdict for row in table.rows)) for paper, table in tables]
    lines.append(("all", sum((counts for _, counts in lines), Counter())))
    return [["table", *VERDICTS], *([name, *(str(counts[word] or "") for word in VERDICTS)] for name, counts in lines)]


def _named(table: Table) -> str:
    return f"{table.name}, against {table.net}" if table.net else table.name


def _anchor(heading: str) -> str:
    """The link that GitHub gives a heading."""
    return "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_").replace(" ", "-")


def _bullets(sentences: Sequence[str], width: int | None = None) -> list[str]:
    """One block of bullets, or none."""
    lines = [
        fill(line, width - 2, subsequent_indent="  ", break_on_hyphens=False) if width else line for line in sentences
    ]
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _escaped(sentence: str) -> str:
    return sentence.replace("*", r"\*")


def _plain(paper: Paper) -> dict[str, Any]:
    return {
        "paper": paper.name,
        "title": paper.title,
        "tables": [_plain_table(table) for table in paper.tables],
        "claims": _plain_table(paper.claims)["rows"],
        "errata": [{"what": slip["what"], "note": slip["note"]} for slip in paper.errata],
        "accuracy": [_plain_table(table) for table in paper.accuracy],
        "questions": [{"question": each["question"], "answer": each["answer"]} for each in paper.questions],
    }


def _plain_table(table: Table) -> dict[str, Any]:
    rows = [
        {"name": row.name, "verdict": row.verdict, "figures": [asdict(figure) for figure in row.figures]}
        for row in table.rows
    ]
    return {"name": table.name, "about": table.about, "net": table.net, "rows": rows}
